/* Does a configuration fit a checkpoint? Prints the report; exit code 3 where it does not. */
#include <stdio.h>

#include <ldm/ldm.h>

int main(int argc, char **argv)
{
    ldm_model_options *options = NULL;
    char *report = NULL;
    bool fits = false;
    ldm_error err;

    if (argc != 3) {
        fprintf(stderr, "usage: check MODEL.ckpt CONFIG.yaml\n");
        return 2;
    }
    if (ldm_model_options_create(&options, &err) ||
        ldm_model_options_set(options, "ckpt", argv[1], &err) ||
        ldm_model_options_set(options, "config", argv[2], &err) ||
        ldm_check(options, LDM_REPORT_ALL, &report, &fits, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        ldm_model_options_free(options);
        return 1;
    }
    fputs(report, stdout);
    ldm_release(report);
    ldm_model_options_free(options);
    return fits ? 0 : 3;
}
