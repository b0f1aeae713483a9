"""The Omaha protocol, version 3.0, as update_engine of CoreOS and Flatcar speaks it: documents as values. Nothing here asks anybody."""
