/* wolfSSL with what DTLS 1.2 and 1.3 here have in common with it, and no more: the less there is, the
 * sooner it is compiled. Its own default for a build by hand: INSTALL, section "Building with
 * user_settings.h". */
#define SINGLE_THREADED
#define NO_MAIN_DRIVER
#define NO_SESSION_CACHE
#define NO_OLD_TLS

#define WOLFSSL_DTLS
#define WOLFSSL_TLS13
#define WOLFSSL_DTLS13
#define WOLFSSL_SEND_HRR_COOKIE
#define HAVE_TLS_EXTENSIONS
#define HAVE_SUPPORTED_CURVES
#define HAVE_EXTENDED_MASTER
/* Suites with a shared key in DTLS 1.2. */
#define WOLFSSL_STATIC_PSK

#define HAVE_HASHDRBG
#define HAVE_HKDF
#define HAVE_ECC
#define HAVE_CURVE25519
#define ECC_TIMING_RESISTANT
#define TFM_TIMING_RESISTANT
#define WOLFSSL_SP_MATH_ALL
#define HAVE_AESGCM
#define HAVE_AESCCM
#define HAVE_CHACHA
#define HAVE_POLY1305
#define WOLFSSL_SHA384
#define WOLFSSL_SHA512

#define NO_RSA
#define NO_DH
#define NO_DSA
#define NO_RC4
#define NO_MD4
#define NO_MD5
#define NO_DES3
