"""What is written at the end: the disk as the formats that machines, clouds and flashing tools take. One file each."""
