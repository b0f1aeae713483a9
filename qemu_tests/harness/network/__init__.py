"""A private network between the machines of one test: an Ethernet switch of ours, with no root, no bridge and no port on the host.

Each machine's card is QEMU's ``-netdev socket,fd=`` on one end of a connected pair of sockets; the switch holds the other
ends. Multicast on the loopback device would need no switch, but two tests on one host could hear each other, and nothing
could be delayed, lost, counted or looked at.

| module | what it has |
| --- | --- |
| ``network`` | ``Network``, ``Plug``: what a test and a machine hold |
| ``addresses`` | ``Directory`` of the ``Host``s: name, MAC and IP address of each machine |
| ``conditions`` | ``Conditions``: what is wrong with the network at this moment |
| ``switch`` | ``Switch``: the thread that carries the frames |
| ``port`` | ``Port``: one end of a cable, with a bounded queue; ``Counters`` |
| ``framing`` | the stream of frames as QEMU sends it |
| ``station`` | ``Station``: what the switch itself answers: ARP, ICMP echo, DHCP and DNS |
| ``packets`` | frames taken apart and put together |
| ``dhcp``, ``names`` | the two services |
| ``capture`` | ``Capture``: a file for tcpdump and Wireshark |
"""
