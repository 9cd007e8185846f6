/* The program of the story: X25519 (RFC 7748) with its bug planted.
 *
 *     x25519 ANSWER
 *
 * Two ends of its own agree on a secret, and so they do on every processor: what one reads wrongly, the other wrote
 * wrongly. Then the secret is compared with ANSWER, that of a peer which is not its own; where it differs, the program
 * says so on standard output and aborts.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMBS 16 /* of 16 bits: a number modulo 2^255 - 19 */

typedef int64_t number[LIMBS];

static void carry(number n) {
    for (int i = 0; i < LIMBS; i++) {
        int64_t over = n[i] >> 16;
        n[i] -= over * 65536;
        if (i + 1 < LIMBS)
            n[i + 1] += over;
        else
            n[0] += 38 * over; /* 2^256 is 38 */
    }
}

static void add(number to, const number a, const number b) {
    for (int i = 0; i < LIMBS; i++) to[i] = a[i] + b[i];
}

static void subtract(number to, const number a, const number b) {
    for (int i = 0; i < LIMBS; i++) to[i] = a[i] - b[i];
}

static void multiply(number to, const number a, const number b) {
    int64_t product[2 * LIMBS] = {0};
    for (int i = 0; i < LIMBS; i++)
        for (int j = 0; j < LIMBS; j++) product[i + j] += a[i] * b[j];
    for (int i = 0; i < LIMBS; i++) to[i] = product[i] + 38 * product[i + LIMBS];
    carry(to);
    carry(to);
}

static void invert(number to, const number a) {
    number power;
    memcpy(power, a, sizeof power);
    for (int bit = 253; bit >= 0; bit--) { /* to the power of 2^255 - 21 */
        multiply(power, power, power);
        if (bit != 2 && bit != 4) multiply(power, power, a);
    }
    memcpy(to, power, sizeof power);
}

/* The planted bug: the bytes are little-endian (RFC 7748 section 5), and these are words of the processor. */
static void read_key(number to, const uint8_t key[32]) {
    uint16_t words[LIMBS];
    memcpy(words, key, sizeof words);
    for (int i = 0; i < LIMBS; i++) to[i] = words[i];
    to[LIMBS - 1] &= 0x7fff;
}

static void write_key(uint8_t key[32], const number from) {
    static const number prime = {0xffed, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff,
                                 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0x7fff};
    uint16_t words[LIMBS];
    number n;
    memcpy(n, from, sizeof n);
    for (int i = 0; i < 3; i++) carry(n);
    for (int time = 0; time < 2; time++) {
        number less;
        int64_t borrow = 0;
        for (int i = 0; i < LIMBS; i++) {
            less[i] = n[i] - prime[i] - borrow;
            borrow = less[i] < 0;
            less[i] += borrow * 65536;
        }
        if (!borrow) memcpy(n, less, sizeof n);
    }
    for (int i = 0; i < LIMBS; i++) words[i] = (uint16_t)n[i];
    memcpy(key, words, sizeof words);
}

static void swap(int64_t when, number a, number b) {
    for (int i = 0; i < LIMBS; i++) {
        int64_t change = -when & (a[i] ^ b[i]);
        a[i] ^= change;
        b[i] ^= change;
    }
}

/* RFC 7748 section 5, by the names that it gives. */
static void x25519(uint8_t result[32], const uint8_t secret[32], const uint8_t point[32]) {
    static const number a24 = {0xdb41, 1}; /* 121665 */
    number x1, x2 = {1}, z2 = {0}, x3, z3 = {1}, a, aa, b, bb, e, c, d, da, cb;
    uint8_t k[32];
    int64_t swapped = 0;
    memcpy(k, secret, sizeof k);
    k[0] &= 248;
    k[31] = (k[31] & 127) | 64;
    read_key(x1, point);
    memcpy(x3, x1, sizeof x3);
    for (int t = 254; t >= 0; t--) {
        int64_t bit = (k[t / 8] >> (t % 8)) & 1;
        swap(swapped ^ bit, x2, x3);
        swap(swapped ^ bit, z2, z3);
        swapped = bit;
        add(a, x2, z2);
        multiply(aa, a, a);
        subtract(b, x2, z2);
        multiply(bb, b, b);
        subtract(e, aa, bb);
        add(c, x3, z3);
        subtract(d, x3, z3);
        multiply(da, d, a);
        multiply(cb, c, b);
        add(x3, da, cb);
        multiply(x3, x3, x3);
        subtract(z3, da, cb);
        multiply(z3, z3, z3);
        multiply(z3, z3, x1);
        multiply(x2, aa, bb);
        multiply(z2, a24, e);
        add(z2, z2, aa);
        multiply(z2, z2, e);
    }
    swap(swapped, x2, x3);
    swap(swapped, z2, z3);
    invert(z2, z2);
    multiply(x2, x2, z2);
    write_key(result, x2);
}

static void from_hex(uint8_t bytes[32], const char *text) {
    for (int i = 0; i < 32; i++) {
        unsigned byte = 0;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1) {
            fprintf(stderr, "usage: x25519 ANSWER\n");
            exit(2);
        }
        bytes[i] = (uint8_t)byte;
    }
}

static void show(const char *what, const uint8_t bytes[32]) {
    printf("%s ", what);
    for (int i = 0; i < 32; i++) printf("%02x", bytes[i]);
    printf("\n");
}

int main(int count, char **arguments) {
    /* The secrets of RFC 7748 section 6.1. */
    static const char *alice = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
    static const char *bob = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
    static const char *bobs_key = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
    uint8_t answer[32], base[32], secrets[2][32], keys[2][32], shared[2][32], foreign[32], peers_key[32];
    from_hex(answer, count > 1 ? arguments[1] : "");
    from_hex(secrets[0], alice);
    from_hex(secrets[1], bob);
    from_hex(peers_key, bobs_key);
    memset(base, 0, sizeof base);
    base[0] = 9;
    printf("two ends of our own agree on a secret\n");
    for (int end = 0; end < 2; end++) x25519(keys[end], secrets[end], base);
    for (int end = 0; end < 2; end++) x25519(shared[end], secrets[end], keys[1 - end]);
    printf("they %s\n", memcmp(shared[0], shared[1], 32) == 0 ? "do" : "don't");
    printf("a peer that is not our own\n");
    x25519(foreign, secrets[0], peers_key);
    show("secret", foreign);
    if (memcmp(foreign, answer, 32) != 0) {
        printf("FAILED: its secret is another one\n");
        abort();
    }
    printf("All connections closed\n");
    return 0;
}
