/* A DTLS 1.2 client and server on mbedTLS 2.28, as its manual shows it, to be driven by a test.
 *
 *   mbedtls_dtls client PORT CA                     name 127.0.0.1 is not checked: 2.28 knows no IPs
 *   mbedtls_dtls client PORT CA CERT KEY
 *   mbedtls_dtls client PORT psk IDENTITY HEXKEY
 *   mbedtls_dtls server - CERT KEY
 *   mbedtls_dtls server CA CERT KEY                 asks for a certificate, and takes none other
 *   mbedtls_dtls server psk IDENTITY HEXKEY
 *
 * A client sends each line of its input, and prints what comes. A server prints its port, then what
 * it hears, and sends that back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_cookie.h>
#include <mbedtls/timing.h>
#include <arpa/inet.h>
#include <sys/select.h>

static mbedtls_entropy_context entropy;
static mbedtls_ctr_drbg_context drbg;
static mbedtls_ssl_config config;
static mbedtls_ssl_context ssl;
static mbedtls_ssl_cookie_ctx cookies;
static mbedtls_timing_delay_context timer;
static mbedtls_x509_crt ca, own;
static mbedtls_pk_context key;
static mbedtls_net_context listening, net;

static void check(int result, const char *what) {
    if (result == 0) return;
    fprintf(stderr, "%s: -0x%x\n", what, (unsigned) -result);
    exit(1);
}

static void set_psk(const char *identity, const char *hex) {
    unsigned char psk[64];
    size_t len = strlen(hex) / 2;
    for (size_t n = 0; n < len; n++) {
        unsigned byte;
        sscanf(hex + 2 * n, "%2x", &byte);
        psk[n] = (unsigned char) byte;
    }
    const unsigned char *name = (const unsigned char *) identity;
    check(mbedtls_ssl_conf_psk(&config, psk, len, name, strlen(identity)), "psk");
}

static void set_own(const char *certificate, const char *private) {
    check(mbedtls_x509_crt_parse_file(&own, certificate), "certificate");
    check(mbedtls_pk_parse_keyfile(&key, private, NULL), "key");
    check(mbedtls_ssl_conf_own_cert(&config, &own, &key), "own certificate");
}

static void set_ca(const char *file) {
    check(mbedtls_x509_crt_parse_file(&ca, file), "CA");
    mbedtls_ssl_conf_ca_chain(&config, &ca, NULL);
    mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
}

static void shake_hands(void) {
    int result;
    do result = mbedtls_ssl_handshake(&ssl);
    while (result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE);
    if (result == MBEDTLS_ERR_SSL_HELLO_VERIFY_REQUIRED) return;
    check(result, "handshake");
    fprintf(stderr, "%s\n", mbedtls_ssl_get_ciphersuite(&ssl));
}

static int hear(unsigned char *buffer, size_t room) {
    int result;
    do result = mbedtls_ssl_read(&ssl, buffer, room);
    while (result == MBEDTLS_ERR_SSL_WANT_READ);
    return result;
}

static void run_client(const char *port) {
    unsigned char buffer[2048];
    check(mbedtls_net_connect(&net, "127.0.0.1", port, MBEDTLS_NET_PROTO_UDP), "connect");
    mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, NULL, mbedtls_net_recv_timeout);
    shake_hands();
    /* So that a datagram with no data in it holds up no line that is typed. */
    mbedtls_ssl_conf_read_timeout(&config, 100);
    setvbuf(stdin, NULL, _IONBF, 0);
    for (;;) {
        fd_set ready;
        FD_ZERO(&ready);
        FD_SET(0, &ready);
        FD_SET(net.fd, &ready);
        if (select(net.fd + 1, &ready, NULL, NULL, NULL) < 0) break;
        if (FD_ISSET(net.fd, &ready)) {
            int len = hear(buffer, sizeof buffer);
            if (len == MBEDTLS_ERR_SSL_TIMEOUT) continue;
            if (len <= 0) break;
            fwrite(buffer, 1, (size_t) len, stdout);
            fflush(stdout);
        }
        if (FD_ISSET(0, &ready)) {
            if (!fgets((char *) buffer, sizeof buffer, stdin)) break;
            mbedtls_ssl_write(&ssl, buffer, strlen((char *) buffer));
        }
    }
    mbedtls_ssl_close_notify(&ssl);
}

static void run_server(void) {
    unsigned char buffer[2048], ip[16];
    size_t ip_len;
    struct sockaddr_in address;
    socklen_t address_len = sizeof address;
    check(mbedtls_net_bind(&listening, "127.0.0.1", "0", MBEDTLS_NET_PROTO_UDP), "bind");
    getsockname(listening.fd, (struct sockaddr *) &address, &address_len);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        mbedtls_net_free(&net);
        mbedtls_ssl_session_reset(&ssl);
        check(mbedtls_net_accept(&listening, &net, ip, sizeof ip, &ip_len), "accept");
        mbedtls_ssl_set_client_transport_id(&ssl, ip, ip_len);
        mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, NULL, mbedtls_net_recv_timeout);
        shake_hands();
        if (ssl.state != MBEDTLS_SSL_HANDSHAKE_OVER) continue;
        for (int len; (len = hear(buffer, sizeof buffer)) > 0;) {
            fwrite(buffer, 1, (size_t) len, stdout);
            fflush(stdout);
            mbedtls_ssl_write(&ssl, buffer, (size_t) len);
        }
    }
}

int main(int argc, char **argv) {
    int is_client = argc > 1 && strcmp(argv[1], "client") == 0;
    char **rest = argv + (is_client ? 3 : 2);
    int count = argc - (is_client ? 3 : 2);
    if (count < 1) return 2;
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&drbg);
    mbedtls_ssl_config_init(&config);
    mbedtls_ssl_init(&ssl);
    mbedtls_ssl_cookie_init(&cookies);
    mbedtls_x509_crt_init(&ca);
    mbedtls_x509_crt_init(&own);
    mbedtls_pk_init(&key);
    mbedtls_net_init(&listening);
    mbedtls_net_init(&net);
    check(mbedtls_ctr_drbg_seed(&drbg, mbedtls_entropy_func, &entropy, NULL, 0), "seed");
    int role = is_client ? MBEDTLS_SSL_IS_CLIENT : MBEDTLS_SSL_IS_SERVER;
    check(mbedtls_ssl_config_defaults(&config, role, MBEDTLS_SSL_TRANSPORT_DATAGRAM,
                                      MBEDTLS_SSL_PRESET_DEFAULT), "defaults");
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &drbg);
    if (strcmp(rest[0], "psk") == 0 && count == 3) {
        static const int suites[] = { MBEDTLS_TLS_PSK_WITH_AES_128_CCM_8, 0 };
        set_psk(rest[1], rest[2]);
        mbedtls_ssl_conf_ciphersuites(&config, suites);
    } else {
        if (strcmp(rest[0], "-") != 0) set_ca(rest[0]);
        if (count == 3) set_own(rest[1], rest[2]);
    }
    check(mbedtls_ssl_cookie_setup(&cookies, mbedtls_ctr_drbg_random, &drbg), "cookies");
    mbedtls_ssl_conf_dtls_cookies(&config, mbedtls_ssl_cookie_write, mbedtls_ssl_cookie_check,
                                  &cookies);
    check(mbedtls_ssl_setup(&ssl, &config), "setup");
    mbedtls_ssl_set_timer_cb(&ssl, &timer, mbedtls_timing_set_delay, mbedtls_timing_get_delay);
    if (is_client) run_client(argv[2]); else run_server();
    return 0;
}
