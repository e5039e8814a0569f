"""Data sets that ship with the project: what data_prep.package --builtin makes."""
