// ldm.h as a C++ program sees it: it must compile and its names must have C linkage. Compiled only.
#include <ldm/ldm.h>

int main()
{
    ldm_model_options opt;
    ldm_model *model = nullptr;
    ldm_error err;
    ldm_job job;

    ldm_model_options_init(&opt);
    ldm_job_init(&job);
    if (ldm_model_open(&opt, &model, &err) != LDM_OK)
        return 1;
    ldm_model_close(model);
    return 0;
}
