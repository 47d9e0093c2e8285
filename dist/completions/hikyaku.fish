# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_hikyaku_global_optspecs
    string join \n h/help V/version
end

function __fish_hikyaku_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_hikyaku_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_hikyaku_using_subcommand
    set -l cmd (__fish_hikyaku_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c hikyaku -n "__fish_hikyaku_needs_command" -s h -l help -d 'Print help'
complete -c hikyaku -n "__fish_hikyaku_needs_command" -s V -l version -d 'Print version'
complete -c hikyaku -n "__fish_hikyaku_needs_command" -f -a "send" -d 'Send messages, a stream or files to a hikyaku listener, or with --plain datagrams to any UDP program'
complete -c hikyaku -n "__fish_hikyaku_needs_command" -f -a "listen" -d 'Print the messages of `hikyaku send` and save its files, or with --plain print datagrams from any UDP program'
complete -c hikyaku -n "__fish_hikyaku_needs_command" -f -a "chat" -d 'Open a chat room, or join one'
complete -c hikyaku -n "__fish_hikyaku_needs_command" -f -a "ping" -d 'Measure the connection to a hikyaku listener: handshake, round trips, loss, packet size'
complete -c hikyaku -n "__fish_hikyaku_needs_command" -f -a "keygen" -d 'Make a key: an OpenSSH Ed25519 key pair, a shared key, or a certificate for DTLS'
complete -c hikyaku -n "__fish_hikyaku_needs_command" -f -a "key" -d 'Print the public half of a key, as a line for authorized_keys, and its fingerprint'
complete -c hikyaku -n "__fish_hikyaku_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l timeout -d 'Native: give up when the listener has been silent for this long [default: 10s]. With --ack: wait this long for the first acknowledgement, and twice as long after each resend [default: 1s]. With --dtls and no --ack: give up the handshake after this long [default: 40s, which is also the maximum]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l count -d 'Send all messages N times' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l interval -d 'Wait this long between messages' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l file -d 'Send this file to `listen --save`; at a terminal, show a progress bar (repeatable; the words after ADDR are then files, too)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l trust -d 'Trust only this key, whatever known_hosts says (repeatable): SHA256:… as `listen` and `hikyaku key` print it [default: the key in known_hosts; at first contact, any key]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l class -d 'The delivery class: ordered (once, in order), reliable (once), latest (a newer message replaces it), unreliable (sent once, not acknowledged), deadline=200ms (in time or not at all) [default: ordered]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l channel -d 'The channel, 0 to 65534; messages are in order within a channel [default: 0]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l congestion -d 'Congestion control: bbr, cubic (RFC 9438, for networks that want it), or fixed=4M (a rate in bits per second, whatever is lost; only for links of your own) [default: bbr]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l identity -d 'Your private key (OpenSSH, Ed25519), made at first use [default: ~/.config/hikyaku/id_ed25519]' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l shared-key -d 'A secret key that both sides must have (`hikyaku keygen --shared` makes one)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l ack-text -d 'The acknowledgement\'s text, if the peer uses a different one [default: ACK]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l retries -d 'With --ack: resend at most N times [default: 5]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l reply -d 'Print the datagrams that come back: the first N (waiting at most 10 s), or all that come until TIME after the last message, such as 500ms [default: 2s]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l chunk -d 'Send standard input as datagrams of SIZE bytes each, for binary data; the last one may be shorter' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l format -d 'How to print replies [default: text]' -r -f -a "text\t'Time, sender and text; control characters and invalid UTF-8 are escaped'
lines\t'Only the messages, one per line; line ends inside a message are escaped'
json\t'One JSON object per message: time, from, to, bytes, text or base64; signer, or natively peer, class, channel'
raw\t'Only the payload bytes'
hex\t'A hexdump'"
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l bind -d 'Send from this local address. With a port, all messages come from that port, and a late ACK of one message may be mistaken for that of the next' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l ttl -d 'Limit each datagram to N hops [default: the system\'s; 1 for multicast]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l cert -d 'Your certificate, in PEM: ECDSA on P-256 or P-384 (`hikyaku keygen --cert NAME` makes one)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l key -d 'Its private key, in PEM' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l psk -d 'A secret key that both sides have, instead of certificates: its name and its file (hexadecimal, or as `hikyaku keygen --shared` makes it); DTLS 1.2 with PSK-AES128-CCM8' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l min-version -d 'Refuse older versions' -r -f -a "1.2\t''
1.3\t''"
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l ca -d 'Trust the issuers in this PEM file instead of the system\'s' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l pin -d 'Trust only the certificate with this SHA-256, whatever its name and dates (repeatable)' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l interface -d 'Use this network interface' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l fernet -d 'Encrypt and decrypt with the key in this file, the same on both sides: each datagram is a Fernet token' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l sign -d 'Sign with this private key (OpenSSH, Ed25519): each datagram is a COSE_Sign1 envelope' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l signed-by -d 'Accept only what is signed with a key in this file (authorized_keys format)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l max-age -d 'Drop datagrams older than this, in whole seconds [default: 60s if signed, otherwise no limit]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l allow -d 'Accept only this network (repeatable)' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l deny -d 'Ignore this network (repeatable)' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l filter -d 'Read rules from a file: one `allow NET` or `deny NET` per line; # starts a comment' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l plain -d 'Speak plain UDP with any program: each datagram is one message'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l whole -d 'Send all of standard input as one message'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l hex -d 'Read messages as hexadecimal digits; spaces and colons between them are ignored'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l raw -d 'Send standard input as one stream of bytes, to `listen --format raw`'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l json -d 'Print one JSON object at the end: what was sent, acknowledged and written'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l ack -d '`listen` answers each datagram with `ACK`; `send` resends a datagram until that comes'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l broadcast -d 'Allow broadcast addresses, and accept replies from anyone'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l dtls -d 'Speak DTLS 1.2 or 1.3 with any program; each datagram is one message, as with --plain'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -l insecure -d 'Trust any certificate: encrypted, but the peer may be anyone'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -s 4 -d 'IPv4 only'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -s 6 -d 'IPv6 only'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -s v -l verbose -d 'Report why datagrams were dropped; natively, also connections, refused senders, and statistics at the end'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -s q -l quiet -d 'Report only errors'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand send" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l format -d 'How to print messages' -r -f -a "text\t'Time, sender and text; control characters and invalid UTF-8 are escaped'
lines\t'Only the messages, one per line; line ends inside a message are escaped'
json\t'One JSON object per message: time, from, to, bytes, text or base64; signer, or natively peer, class, channel'
raw\t'Only the payload bytes'
hex\t'A hexdump'"
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l count -d 'End after N messages and files' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l for -d 'End after this time' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l until -d 'End at a message that is exactly TEXT; any sender can then end the listener' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l save -d 'Save files in this folder, never outside it and never over an existing file' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l allow-key -d 'Accept only senders whose keys are in this file (authorized_keys format)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l identity -d 'Your private key (OpenSSH, Ed25519), made at first use [default: ~/.config/hikyaku/id_ed25519]' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l shared-key -d 'A secret key that both sides must have (`hikyaku keygen --shared` makes one)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l ack-text -d 'The acknowledgement\'s text, if the peer uses a different one [default: ACK]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l join -d 'Receive this multicast group, on --interface or on all interfaces (repeatable)' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l cert -d 'Your certificate, in PEM: ECDSA on P-256 or P-384 (`hikyaku keygen --cert NAME` makes one)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l key -d 'Its private key, in PEM' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l psk -d 'A secret key that both sides have, instead of certificates: its name and its file (hexadecimal, or as `hikyaku keygen --shared` makes it); DTLS 1.2 with PSK-AES128-CCM8' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l min-version -d 'Refuse older versions' -r -f -a "1.2\t''
1.3\t''"
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l client-ca -d 'Accept only clients with a certificate from an issuer in this PEM file' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l interface -d 'Use this network interface' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l fernet -d 'Encrypt and decrypt with the key in this file, the same on both sides: each datagram is a Fernet token' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l sign -d 'Sign with this private key (OpenSSH, Ed25519): each datagram is a COSE_Sign1 envelope' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l signed-by -d 'Accept only what is signed with a key in this file (authorized_keys format)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l max-age -d 'Drop datagrams older than this, in whole seconds [default: 60s if signed, otherwise no limit]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l allow -d 'Accept only this network (repeatable)' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l deny -d 'Ignore this network (repeatable)' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l filter -d 'Read rules from a file: one `allow NET` or `deny NET` per line; # starts a comment' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l plain -d 'Speak plain UDP with any program: each datagram is one message'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l once -d 'End after one message or file; with --format raw, after one stream'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l ack -d '`listen` answers each datagram with `ACK`; `send` resends a datagram until that comes'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l echo -d 'Answer each datagram with itself'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -l dtls -d 'Speak DTLS 1.2 or 1.3 with any program; each datagram is one message, as with --plain'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -s 4 -d 'IPv4 only'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -s 6 -d 'IPv6 only'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -s v -l verbose -d 'Report why datagrams were dropped; natively, also connections, refused senders, and statistics at the end'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -s q -l quiet -d 'Report only errors'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand listen" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -l name -d 'Your name in the room [default: your login name]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -l identity -d 'Your private key (OpenSSH, Ed25519), made at first use [default: ~/.config/hikyaku/id_ed25519]' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -l shared-key -d 'A secret key that both sides must have (`hikyaku keygen --shared` makes one)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -l fernet -d 'Encrypt and decrypt with the key in this file, the same on both sides: each datagram is a Fernet token' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -l sign -d 'Sign with this private key (OpenSSH, Ed25519): each datagram is a COSE_Sign1 envelope' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -l signed-by -d 'Accept only what is signed with a key in this file (authorized_keys format)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -l max-age -d 'Drop datagrams older than this, in whole seconds [default: 60s if signed, otherwise no limit]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -l allow -d 'Accept only this network (repeatable)' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -l deny -d 'Ignore this network (repeatable)' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -l filter -d 'Read rules from a file: one `allow NET` or `deny NET` per line; # starts a comment' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -l plain -d 'Speak plain UDP with any program: each datagram is one message'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -l lines -d 'At a terminal: a prompt below the lines, not a full screen'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -s v -l verbose -d 'Report why datagrams were dropped; natively, also connections, refused senders, and statistics at the end'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -s q -l quiet -d 'Report only errors'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -l no-discovery -l hidden -d 'Neither announce a room on the local network nor look for one'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -s h -l help -d 'Print help'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -f -a "host" -d 'Open a room and take part in it'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -f -a "join" -d 'Join a room of `chat host`, or of any UDP program that forwards each datagram to all others'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -f -a "find" -d 'List the rooms on the local network. Names and keys are as the hosts announce them; joining checks the key'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and not __fish_seen_subcommand_from host join find help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l name -d 'Your name in the room [default: your login name]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l idle -d 'Remove a member who has been silent for this long' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l max-clients -d 'Admit at most N members' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l rate -d 'Accept at most N lines per second from each member, averaged over a few seconds' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l metrics -d 'Serve the figures of the chat over HTTP at this address (OpenMetrics); with a port alone, to this machine' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l allow-key -d 'Accept only members whose keys are in this file (authorized_keys format)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l owner -d 'Let members whose keys are in this file (authorized_keys format) kick and ban' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l history -d 'Keep the chat in this file [default: one per host key in $XDG_STATE_HOME/hikyaku/chat]' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l keep -d 'Delete lines that are older than this many days' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l keep-bytes -d 'Delete the oldest lines when the history exceeds N bytes' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l identity -d 'Your private key (OpenSSH, Ed25519), made at first use [default: ~/.config/hikyaku/id_ed25519]' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l shared-key -d 'A secret key that both sides must have (`hikyaku keygen --shared` makes one)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l invite -d 'What the invite contains besides the addresses and the key of this host: `shared`, the shared key, so that anyone who has the invite can join; `once` or `once=N`, a secret for one guest: then N invites are printed, and nobody else can join except by --allow-key' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l web -d 'Show the chat in a web page, too, and print the link to it. The page is not encrypted: without ADDR, or with a port alone, it is for browsers of this machine; 0.0.0.0:8080 is for a network that you trust' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l web-link -d 'Whom a link admits: `once`, one person, and another link is printed when it is used; `once=N`, N such links; `shared`, anyone who has it' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l web-name -d 'Another name that leads to the page, such as that of a proxy that adds TLS (repeatable)' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l plain -d 'Also accept members who speak plain UDP, at this address, marked as unauthenticated' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l dtls -d 'Also accept members who speak DTLS, at this address, marked likewise; needs --cert or --psk' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l cert -d 'Your certificate, in PEM: ECDSA on P-256 or P-384 (`hikyaku keygen --cert NAME` makes one)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l key -d 'Its private key, in PEM' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l psk -d 'A secret key that both sides have, instead of certificates: its name and its file (hexadecimal, or as `hikyaku keygen --shared` makes it); DTLS 1.2 with PSK-AES128-CCM8' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l min-version -d 'Refuse older versions' -r -f -a "1.2\t''
1.3\t''"
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l client-ca -d 'Accept only clients with a certificate from an issuer in this PEM file' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l interface -d 'Use this network interface' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l fernet -d 'Encrypt and decrypt with the key in this file, the same on both sides: each datagram is a Fernet token' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l sign -d 'Sign with this private key (OpenSSH, Ed25519): each datagram is a COSE_Sign1 envelope' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l signed-by -d 'Accept only what is signed with a key in this file (authorized_keys format)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l max-age -d 'Drop datagrams older than this, in whole seconds [default: 60s if signed, otherwise no limit]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l allow -d 'Accept only this network (repeatable)' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l deny -d 'Ignore this network (repeatable)' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l filter -d 'Read rules from a file: one `allow NET` or `deny NET` per line; # starts a comment' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l lines -d 'At a terminal: a prompt below the lines, not a full screen'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -s v -l verbose -d 'Report why datagrams were dropped; natively, also connections, refused senders, and statistics at the end'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -s q -l quiet -d 'Report only errors'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l headless -d 'Serve without taking part, and print what is said'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l json -d 'With --headless: print JSON, one object per line'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l no-history -d 'Keep nothing: when the host ends, the chat is forgotten'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l no-discovery -l hidden -d 'Neither announce a room on the local network nor look for one'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l qr -d 'Also draw the invite as a QR code'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l plain-only -d 'Accept plain datagrams only: nothing is encrypted, unless --fernet is given'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -l dtls-only -d 'Accept DTLS only; needs --cert or --psk'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -s 4 -d 'IPv4 only'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -s 6 -d 'IPv6 only'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from host" -s h -l help -d 'Print help'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l name -d 'Your name in the room [default: your login name]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l trust -d 'Trust only this key, whatever known_hosts says (repeatable): SHA256:… as `chat host` prints it [default: the key in known_hosts; at first contact, any key]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l wait -d 'Look this long for a host that is not there yet; and when the input ends, wait up to this long for the host to store what was typed [default: 10s]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l identity -d 'Your private key (OpenSSH, Ed25519), made at first use [default: ~/.config/hikyaku/id_ed25519]' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l shared-key -d 'A secret key that both sides must have (`hikyaku keygen --shared` makes one)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l cert -d 'Your certificate, in PEM: ECDSA on P-256 or P-384 (`hikyaku keygen --cert NAME` makes one)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l key -d 'Its private key, in PEM' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l psk -d 'A secret key that both sides have, instead of certificates: its name and its file (hexadecimal, or as `hikyaku keygen --shared` makes it); DTLS 1.2 with PSK-AES128-CCM8' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l min-version -d 'Refuse older versions' -r -f -a "1.2\t''
1.3\t''"
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l ca -d 'Trust the issuers in this PEM file instead of the system\'s' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l pin -d 'Trust only the certificate with this SHA-256, whatever its name and dates (repeatable)' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l interface -d 'Use this network interface' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l fernet -d 'Encrypt and decrypt with the key in this file, the same on both sides: each datagram is a Fernet token' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l sign -d 'Sign with this private key (OpenSSH, Ed25519): each datagram is a COSE_Sign1 envelope' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l signed-by -d 'Accept only what is signed with a key in this file (authorized_keys format)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l max-age -d 'Drop datagrams older than this, in whole seconds [default: 60s if signed, otherwise no limit]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l allow -d 'Accept only this network (repeatable)' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l deny -d 'Ignore this network (repeatable)' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l filter -d 'Read rules from a file: one `allow NET` or `deny NET` per line; # starts a comment' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l plain -d 'Speak plain UDP with any program: each datagram is one message'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l foreign -d 'With --plain: the server is a program that only forwards lines; send what is typed even if nothing answers'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l lines -d 'At a terminal: a prompt below the lines, not a full screen'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -s v -l verbose -d 'Report why datagrams were dropped; natively, also connections, refused senders, and statistics at the end'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -s q -l quiet -d 'Report only errors'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l json -d 'Print what happens as JSON, one object per line'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l no-outbox -d 'Store nothing on this machine: what has not been sent at the end is lost'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l no-discovery -l hidden -d 'Neither announce a room on the local network nor look for one'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l dtls -d 'Speak DTLS 1.2 or 1.3 with any program; each datagram is one message, as with --plain'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -l insecure -d 'Trust any certificate: encrypted, but the peer may be anyone'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -s 4 -d 'IPv4 only'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -s 6 -d 'IPv6 only'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from join" -s h -l help -d 'Print help'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from find" -l json -d 'Print one JSON object per room: name, room, members, needs_shared_key, key, addresses'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from find" -s h -l help -d 'Print help'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from help" -f -a "host" -d 'Open a room and take part in it'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from help" -f -a "join" -d 'Join a room of `chat host`, or of any UDP program that forwards each datagram to all others'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from help" -f -a "find" -d 'List the rooms on the local network. Names and keys are as the hosts announce them; joining checks the key'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand chat; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand ping" -l count -d 'Measure N round trips' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand ping" -l interval -d 'Wait this long between them' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand ping" -l timeout -d 'Give up after this long without a response' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand ping" -l trust -d 'Trust only this key, whatever known_hosts says (repeatable)' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand ping" -l identity -d 'Your private key (OpenSSH, Ed25519), made at first use [default: ~/.config/hikyaku/id_ed25519]' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand ping" -l shared-key -d 'A secret key that both sides must have (`hikyaku keygen --shared` makes one)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand ping" -l interface -d 'Use this network interface' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand ping" -l json -d 'Print one JSON object; times in microseconds'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand ping" -l plain -d 'Refused, with a reason'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand ping" -s 4 -d 'IPv4 only'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand ping" -s 6 -d 'IPv6 only'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand ping" -s v -l verbose -d 'Report why datagrams were dropped; natively, also connections, refused senders, and statistics at the end'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand ping" -s q -l quiet -d 'Report only errors'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand ping" -s h -l help -d 'Print help'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand keygen" -l shared -d 'Make a shared key instead (32 bytes in the Fernet key format)' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand keygen" -l cert -d 'Make a self-signed certificate for these host names and IP addresses instead (ECDSA on P-256, ten years), and print its SHA-256 for `send --dtls --pin`' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand keygen" -l out -d 'With --cert: write BASE.crt and BASE.key [default: the first name]' -r -F
complete -c hikyaku -n "__fish_hikyaku_using_subcommand keygen" -s C -l comment -d 'A comment in the public key, such as its owner [default: user@host]' -r
complete -c hikyaku -n "__fish_hikyaku_using_subcommand keygen" -l passphrase -d 'Protect the private key with a passphrase, which is asked for at the terminal'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand keygen" -l force -d 'Replace the file if it exists'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand keygen" -s h -l help -d 'Print help'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand key" -s h -l help -d 'Print help'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand help; and not __fish_seen_subcommand_from send listen chat ping keygen key help" -f -a "send" -d 'Send messages, a stream or files to a hikyaku listener, or with --plain datagrams to any UDP program'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand help; and not __fish_seen_subcommand_from send listen chat ping keygen key help" -f -a "listen" -d 'Print the messages of `hikyaku send` and save its files, or with --plain print datagrams from any UDP program'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand help; and not __fish_seen_subcommand_from send listen chat ping keygen key help" -f -a "chat" -d 'Open a chat room, or join one'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand help; and not __fish_seen_subcommand_from send listen chat ping keygen key help" -f -a "ping" -d 'Measure the connection to a hikyaku listener: handshake, round trips, loss, packet size'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand help; and not __fish_seen_subcommand_from send listen chat ping keygen key help" -f -a "keygen" -d 'Make a key: an OpenSSH Ed25519 key pair, a shared key, or a certificate for DTLS'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand help; and not __fish_seen_subcommand_from send listen chat ping keygen key help" -f -a "key" -d 'Print the public half of a key, as a line for authorized_keys, and its fingerprint'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand help; and not __fish_seen_subcommand_from send listen chat ping keygen key help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand help; and __fish_seen_subcommand_from chat" -f -a "host" -d 'Open a room and take part in it'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand help; and __fish_seen_subcommand_from chat" -f -a "join" -d 'Join a room of `chat host`, or of any UDP program that forwards each datagram to all others'
complete -c hikyaku -n "__fish_hikyaku_using_subcommand help; and __fish_seen_subcommand_from chat" -f -a "find" -d 'List the rooms on the local network. Names and keys are as the hosts announce them; joining checks the key'
