"""Verifies signed datagrams and prints each as JSON: cose_verify.py PUBLIC_KEY_FILE"""

import base64
import hashlib
import json
import socket
import sys

import cbor2
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_public_key,
)
from cwt import COSE, COSEKey, VerifyError

with open(sys.argv[1], "rb") as file:
    public_key = load_ssh_public_key(file.read())
public_line = public_key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
fingerprint = hashlib.sha256(base64.b64decode(public_line.split()[1])).digest()
verifying_key = COSEKey.from_pem(
    public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), kid=fingerprint
)

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print("listening on %s:%d" % sock.getsockname(), flush=True)

while True:
    envelope, sender = sock.recvfrom(65535)
    tag = getattr(cbor2.loads(envelope), "tag", None)
    try:
        protected, unprotected, payload = COSE.new().decode_with_headers(envelope, verifying_key)
    except (VerifyError, ValueError) as error:  # a wrong signature, or a key id that is not ours
        print("refused:", error, flush=True)
        continue
    claims = protected[15]
    kid = base64.b64encode(protected[4]).decode().rstrip("=")
    print(
        json.dumps(
            {
                "text": payload.decode(),
                "tag": tag,
                "alg": protected[1],
                "kid": "SHA256:" + kid,
                "iat": claims[6],
                "cti": claims[7].hex(),
                "unprotected": len(unprotected),
            }
        ),
        flush=True,
    )
