"""The harness: machines with a console, a monitor, a control port, and disks that can be judged, cut and damaged."""
