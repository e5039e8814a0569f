"""The RefineVAD network: MoTAR, temporal encoder, CORE."""
