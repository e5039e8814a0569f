"""What a run leaves behind: its workdir, checkpoints, metric rows and evaluation folders."""
