"""How a command runs: flags and exit codes, the compiler, several processes."""
