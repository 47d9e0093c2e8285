/* A DTLS client and server on wolfSSL, to be driven by a test.
 *
 *   wolfssl_dtls client VERSION PORT CA               calls it localhost
 *   wolfssl_dtls client VERSION PORT CA CERT KEY
 *   wolfssl_dtls client VERSION PORT psk IDENTITY HEXKEY
 *   wolfssl_dtls server VERSION - CERT KEY
 *   wolfssl_dtls server VERSION CA CERT KEY           asks for a certificate, and takes none other
 *   wolfssl_dtls server VERSION psk IDENTITY HEXKEY
 *
 * VERSION is 1.2 or 1.3. A client sends each line of its input, and prints what comes. A server
 * prints its port, then what it hears, and sends that back, to one client after the other.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/ssl.h>

static WOLFSSL_CTX *ctx;
static WOLFSSL *ssl;
static const char *psk_identity;
static unsigned char psk[64];
static unsigned psk_len;
static int is_client, is_13, net;

static void fail(const char *what, int error) {
    char text[WOLFSSL_MAX_ERROR_SZ];
    fprintf(stderr, "%s: %s (%d)\n", what, wolfSSL_ERR_error_string(error, text), error);
}

static void check(int is_well, const char *what) {
    if (is_well) return;
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

static unsigned client_psk(WOLFSSL *s, const char *hint, char *identity, unsigned room,
                           unsigned char *key, unsigned key_room) {
    (void) s, (void) hint, (void) key_room;
    snprintf(identity, room, "%s", psk_identity);
    memcpy(key, psk, psk_len);
    return psk_len;
}

static unsigned server_psk(WOLFSSL *s, const char *identity, unsigned char *key, unsigned room) {
    (void) s, (void) room;
    if (strcmp(identity, psk_identity) != 0) return 0;
    memcpy(key, psk, psk_len);
    return psk_len;
}

static void set_psk(const char *identity, const char *hex) {
    psk_identity = identity;
    psk_len = (unsigned) strlen(hex) / 2;
    for (unsigned n = 0; n < psk_len; n++) sscanf(hex + 2 * n, "%2hhx", &psk[n]);
    if (is_client) wolfSSL_CTX_set_psk_client_callback(ctx, client_psk);
    else wolfSSL_CTX_set_psk_server_callback(ctx, server_psk);
    check(wolfSSL_CTX_set_cipher_list(ctx, "PSK-AES128-CCM-8") == WOLFSSL_SUCCESS, "suite");
}

static void set_certificates(char **words, int count) {
    int mode = WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    int asks = strcmp(words[0], "-") != 0;
    if (asks) check(wolfSSL_CTX_load_verify_locations(ctx, words[0], NULL) == WOLFSSL_SUCCESS, "CA");
    wolfSSL_CTX_set_verify(ctx, asks ? mode : WOLFSSL_VERIFY_NONE, NULL);
    if (count < 3) return;
    int pem = WOLFSSL_FILETYPE_PEM;
    check(wolfSSL_CTX_use_certificate_file(ctx, words[1], pem) == WOLFSSL_SUCCESS, "certificate");
    check(wolfSSL_CTX_use_PrivateKey_file(ctx, words[2], pem) == WOLFSSL_SUCCESS, "key");
}

static int would_wait(int error) {
    return error == WOLFSSL_ERROR_WANT_READ || error == WOLFSSL_ERROR_WANT_WRITE;
}

/* Waits for the network, and for input where it is wanted. False: the time to send again has come. */
static int wait_for(fd_set *ready, int with_input) {
    struct timeval time = {wolfSSL_dtls_get_current_timeout(ssl), 0};
    if (is_13 && wolfSSL_dtls13_use_quick_timeout(ssl)) time = (struct timeval) {0, 250000};
    FD_ZERO(ready);
    FD_SET(net, ready);
    if (with_input) FD_SET(0, ready);
    return select(net + 1, ready, NULL, NULL, &time) > 0;
}

static int shake_hands(void) {
    for (;;) {
        fd_set ready;
        int result = is_client ? wolfSSL_connect(ssl) : wolfSSL_accept(ssl);
        if (result == WOLFSSL_SUCCESS) break;
        int error = wolfSSL_get_error(ssl, result);
        if (!would_wait(error)) return fail("handshake", error), 0;
        if (!wait_for(&ready, 0) && wolfSSL_dtls_got_timeout(ssl) != WOLFSSL_SUCCESS)
            return fail("handshake", wolfSSL_get_error(ssl, 0)), 0;
    }
    fprintf(stderr, "%s %s\n", wolfSSL_get_version(ssl), wolfSSL_get_cipher(ssl));
    return 1;
}

/* Until either side has said all it has to say. */
static void talk(void) {
    char buffer[2048];
    fd_set ready;
    for (;;) {
        /* In DTLS 1.3 a flight that ends a handshake may still have to be sent again. */
        if (!wait_for(&ready, is_client)) {
            if (is_13) wolfSSL_dtls_got_timeout(ssl);
            continue;
        }
        if (FD_ISSET(net, &ready)) {
            int len = wolfSSL_read(ssl, buffer, sizeof buffer);
            if (len <= 0 && would_wait(wolfSSL_get_error(ssl, len))) continue;
            if (len <= 0) return;
            fwrite(buffer, 1, (size_t) len, stdout);
            fflush(stdout);
            if (!is_client) wolfSSL_write(ssl, buffer, len);
        }
        if (is_client && FD_ISSET(0, &ready)) {
            if (!fgets(buffer, sizeof buffer, stdin)) return;
            wolfSSL_write(ssl, buffer, (int) strlen(buffer));
        }
    }
}

static void meet(struct sockaddr_in *peer) {
    check(connect(net, (struct sockaddr *) peer, sizeof *peer) == 0, "connect");
    check((ssl = wolfSSL_new(ctx)) != NULL, "session");
    check(wolfSSL_set_fd(ssl, net) == WOLFSSL_SUCCESS, "socket");
    wolfSSL_dtls_set_using_nonblock(ssl, 1);
    if (is_client && !psk_identity)
        check(wolfSSL_check_domain_name(ssl, "localhost") == WOLFSSL_SUCCESS, "name");
    if (!is_client) {
        check(wolfSSL_DTLS_SetCookieSecret(ssl, NULL, 0) == 0, "cookie");
        if (is_13) check(wolfSSL_send_hrr_cookie(ssl, NULL, 0) == WOLFSSL_SUCCESS, "cookie");
    }
    if (shake_hands()) talk();
    wolfSSL_shutdown(ssl);
    wolfSSL_free(ssl);
}

static void serve(void) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof own;
    check(bind(net, (struct sockaddr *) &own, len) == 0, "bind");
    getsockname(net, (struct sockaddr *) &own, &len);
    printf("port %d\n", ntohs(own.sin_port));
    fflush(stdout);
    for (;;) {
        struct sockaddr_in peer;
        struct sockaddr anyone = {.sa_family = AF_UNSPEC};
        fd_set ready;
        FD_ZERO(&ready);
        FD_SET(net, &ready);
        select(net + 1, &ready, NULL, NULL, NULL);
        len = sizeof peer;
        char first;
        if (recvfrom(net, &first, 1, MSG_PEEK, (struct sockaddr *) &peer, &len) < 0) continue;
        meet(&peer);
        /* Lets go of the port too, which was the system's choice. */
        connect(net, &anyone, sizeof anyone);
        check(bind(net, (struct sockaddr *) &own, sizeof own) == 0, "bind");
    }
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    is_client = strcmp(argv[1], "client") == 0;
    is_13 = strcmp(argv[2], "1.3") == 0;
    char **rest = argv + (is_client ? 4 : 3);
    int count = argc - (is_client ? 4 : 3);
    wolfSSL_Init();
    WOLFSSL_METHOD *method = is_client
        ? (is_13 ? wolfDTLSv1_3_client_method() : wolfDTLSv1_2_client_method())
        : (is_13 ? wolfDTLSv1_3_server_method() : wolfDTLSv1_2_server_method());
    check((ctx = wolfSSL_CTX_new(method)) != NULL, "context");
    if (count == 3 && strcmp(rest[0], "psk") == 0) set_psk(rest[1], rest[2]);
    else set_certificates(rest, count);
    check((net = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)) >= 0, "socket");
    setvbuf(stdin, NULL, _IONBF, 0);
    if (!is_client) serve();
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    server.sin_port = htons((unsigned short) atoi(argv[3]));
    meet(&server);
    return 0;
}
