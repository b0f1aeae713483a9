"""Where updates come from: media and folders, files, web servers."""
