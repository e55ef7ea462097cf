"""Makes the keys of this folder, anew each time: `python3 make.py`. Needs openssl 3 and no package.

Public keys of a wrong size or exponent have a random modulus, since nobody ever signs with them.
"""

import base64
import pathlib
import random
import subprocess
import textwrap

HERE = pathlib.Path(__file__).parent
RSA_ENCRYPTION = bytes.fromhex("300d06092a864886f70d0101010500")


def der(tag, content):
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def integer(number):
    return der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def public(name, bits, exponent):
    modulus = random.getrandbits(bits) | 1 << (bits - 1) | 1
    key = der(0x30, integer(modulus) + integer(exponent))
    spki = der(0x30, RSA_ENCRYPTION + der(3, b"\0" + key))
    lines = "\n".join(textwrap.wrap(base64.b64encode(spki).decode(), 64))
    (HERE / name).write_text(f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n")


def openssl(name, *arguments):
    subprocess.run(["openssl", *arguments, "-out", HERE / name], check=True, stderr=subprocess.DEVNULL)


def main():
    for bits in (512, 1024, 2047, 2048, 8192, 8193):
        public(f"bits-{bits}.pem", bits, 65537)
    for name, exponent in (
        ("1", 1),
        ("3", 3),
        ("65535", 65535),
        ("65536", 65536),
        ("65538", 65538),
        ("2-32-plus-1", 2**32 + 1),
        ("2-64-plus-1", 2**64 + 1),
    ):
        public(f"exponent-{name}.pem", 2048, exponent)

    for name, options in (
        ("rsa", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
        ("rsa-1024", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]),
        ("rsa-exponent-3", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3"]),
        ("rsa-pss", ["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"]),
        ("p256", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("ed25519", ["-algorithm", "ED25519"]),
    ):
        openssl(f"{name}.private.pem", "genpkey", *options)
        openssl(f"{name}.pem", "pkey", "-in", HERE / f"{name}.private.pem", "-pubout")
    openssl("rsa.private.pkcs1.pem", "rsa", "-in", HERE / "rsa.private.pem", "-traditional")
    openssl("rsa.pkcs1.pem", "rsa", "-in", HERE / "rsa.private.pem", "-RSAPublicKey_out")
    openssl("certificate.pem", "req", "-x509", "-key", HERE / "rsa.private.pem", "-subj", "/CN=a.example", "-days", "36500")
    openssl("request.pem", "req", "-new", "-key", HERE / "rsa.private.pem", "-subj", "/CN=a.example")


main()
