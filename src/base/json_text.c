/* JSON as text; see json_text.h. */
#include "base/json_text.h"

static int append(const char *bytes, size_t size, void *out)
{
    ldm_str_append(out, bytes, size);
    return ((ldm_str *)out)->failed ? -1 : 0;
}

bool ldm_json_append(const json_t *root, size_t flags, ldm_str *out)
{
    return root && !json_dump_callback(root, append, out, flags) && !out->failed;
}
