# chat.py: "python chat.py host" prints what guests need, "python chat.py ADDRESS KEY NAME" joins.
import sys, threading, time, hikyaku

def serve(peer):
    name = peer.recv().text
    for message in peer:
        line = f"[{time.strftime('%H:%M:%S')}] {name}: {message.text}"
        with lock:
            for member in [member for member in members if not member.closed]:
                member.send(line)

if sys.argv[1] == "host":
    members, lock = [], threading.Lock()
    with hikyaku.listen(sys.argv[2] if len(sys.argv) > 2 else "[::]:12345") as server:
        print("python chat.py", "%s:%d" % server.address, server.fingerprint, "NAME", flush=True)
        for peer in server:
            members.append(peer)
            threading.Thread(target=serve, args=(peer,)).start()
with hikyaku.connect(sys.argv[1], trust=sys.argv[2]) as host:
    host.send(sys.argv[3])
    threading.Thread(target=lambda: [print(m.text, flush=True) for m in host]).start()
    for line in sys.stdin:
        host.send(line.rstrip("\n"))
