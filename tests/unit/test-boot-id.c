/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/unit.h"

#include "util/boot-id.h"
#include "util/cleanup.h"

#include <fcntl.h>
#include <string.h>

static const unsigned char expected[BOOT_ID_BYTES] = {0x0b, 0x1c, 0x2d, 0x3e, 0x4f, 0x50, 0x61, 0x72,
                                                      0x83, 0x94, 0xa5, 0xb6, 0xc7, 0xd8, 0xe9, 0xfa};
static const unsigned char zeros[BOOT_ID_BYTES];

static void read_text(const char *text, unsigned char ret[BOOT_ID_BYTES])
{
    char path[] = "/tmp/lwa-boot-id-XXXXXX";
    _cleanup_close_ int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    memset(ret, 0xff, BOOT_ID_BYTES);
    boot_id_read(path, ret);
    (void)unlink(path);
}

static void ids(void **state _unused_)
{
    unsigned char id[BOOT_ID_BYTES];
    read_text("0b1c2d3e-4f50-6172-8394-a5b6c7d8e9fa\n", id);
    assert_memory_equal(id, expected, sizeof(id));
    read_text("0b1c2d3e4f5061728394a5b6c7d8e9fa", id);
    assert_memory_equal(id, expected, sizeof(id));
}

static void no_ids(void **state _unused_)
{
    static const char *const texts[] = {
        "",
        "\n",
        "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f\n",
        "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9faa\n",
        "0B1C2D3E-4F50-6172-8394-A5B6C7D8E9FA\n",
        "0b1c2d3e 4f50 6172 8394 a5b6c7d8e9fa\n",
        "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9fa0000000000000000000000000000\n",
    };
    unsigned char id[BOOT_ID_BYTES];
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        read_text(texts[i], id);
        assert_memory_equal(id, zeros, sizeof(id));
    }
    boot_id_read("/nowhere/boot_id", id);
    assert_memory_equal(id, zeros, sizeof(id));
}

static void of_this_kernel(void **state _unused_)
{
    unsigned char id[BOOT_ID_BYTES], again[BOOT_ID_BYTES];
    boot_id_read(BOOT_ID_PATH, id);
    boot_id_read(BOOT_ID_PATH, again);
    assert_memory_not_equal(id, zeros, sizeof(id));
    assert_memory_equal(id, again, sizeof(id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids),
        cmocka_unit_test(no_ids),
        cmocka_unit_test(of_this_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
