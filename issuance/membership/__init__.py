"""Partners come and go while others run: their entry in the registry, their access, and who did what when."""
