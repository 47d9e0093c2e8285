"""Files and folders.

    python files.py take FOLDER [ADDRESS]          prints what senders need
    python files.py give ADDRESS KEY PATH...
"""

import sys

import hikyaku.files

if sys.argv[1] == "take":
    with hikyaku.listen(sys.argv[3] if len(sys.argv) > 3 else "[::]:12345") as server:
        print("python files.py give", "%s:%d" % server.address, server.fingerprint, "PATH", flush=True)
        for peer in server:
            for file in hikyaku.files.receive(peer, sys.argv[2]):
                print(f"{file.path}: {file.size} bytes", flush=True)
else:

    def show(progress):
        print(f"\r{progress.name} {progress.done * 100 // progress.size} %", end="", file=sys.stderr)

    with hikyaku.connect(sys.argv[2], trust=sys.argv[3]) as peer:
        for file in hikyaku.files.send(peer, *sys.argv[4:], progress=show):
            print(f"\n{file.path} is there as {file.name}")
