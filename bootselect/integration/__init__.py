"""Files for other people's systems: hooks of initramfs-tools and dracut, units of systemd, and what the hooks share."""
