"""Sends signed datagrams: COSE_Sign1 with Ed25519, time and a unique id in the protected header.

cose_sign.py KEYFILE HOST PORT MESSAGE [--age SECONDS] [--twice] [--tamper] [--untagged]
             [--no-kid] [--float-time]
"""

import argparse
import base64
import hashlib
import os
import socket
import time

import cbor2
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)
from cwt import COSE, COSEKey

ALG, KID, CWT_CLAIMS = 1, 4, 15  # header labels: RFC 9052 section 3.1, RFC 9597 section 2
EDDSA = -8
IAT, CTI = 6, 7  # claims: RFC 8392 section 4

parser = argparse.ArgumentParser()
parser.add_argument("key_file")
parser.add_argument("host")
parser.add_argument("port", type=int)
parser.add_argument("message")
parser.add_argument("--age", type=int, default=0)
parser.add_argument("--twice", action="store_true")
parser.add_argument("--tamper", action="store_true")
parser.add_argument("--untagged", action="store_true")
parser.add_argument("--no-kid", action="store_true")
parser.add_argument("--float-time", action="store_true")
args = parser.parse_args()

with open(args.key_file, "rb") as file:
    private_key = load_ssh_private_key(file.read(), password=None)
signing_key = COSEKey.from_pem(
    private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
)
public_line = private_key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
fingerprint = hashlib.sha256(base64.b64decode(public_line.split()[1])).digest()

now = time.time() - args.age
protected = {
    ALG: EDDSA,
    CWT_CLAIMS: {IAT: now if args.float_time else int(now), CTI: os.urandom(16)},
}
if not args.no_kid:
    protected[KID] = fingerprint

envelope = COSE.new().encode_and_sign(args.message.encode(), signing_key, protected=protected)
if args.untagged:
    envelope = cbor2.dumps(cbor2.loads(envelope).value)
if args.tamper:
    # The payload stands before the 64-byte signature and its two-byte length.
    changed = bytearray(envelope)
    changed[-67] ^= 1
    envelope = bytes(changed)

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(2 if args.twice else 1):
    sock.sendto(envelope, (args.host, args.port))
print("sent", flush=True)
