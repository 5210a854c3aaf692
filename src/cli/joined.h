/* SPDX-License-Identifier: MIT */
/* Other programs' options that say only together what one of ours says (--H 512 --W 768), or whose
 * value tells that they are meant (--resume FILE). */
#ifndef LDM_CLI_JOINED_H
#define LDM_CLI_JOINED_H

#include "base/str.h"
#include "cli/entries.h"

/* Writes ours in their places. said: what was understood is added to it; *others becomes true where
 * that is not CompVis' spelling. argv's new words are this function's, until the next call. */
void ldm_joined_rewrite(const ldm_entries *all, int argc, char **argv, ldm_str *said, bool *others);

#endif
