"""Updates: a slot as a file, the medium that a machine installs it from, and what stands beside them."""
