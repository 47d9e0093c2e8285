"""Makes a Fernet key: fernet_key.py FILE"""

import os
import sys

from cryptography.fernet import Fernet

descriptor = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
with os.fdopen(descriptor, "wb") as file:
    file.write(Fernet.generate_key())
