/* SPDX-License-Identifier: MIT */
/* Files that are part of the program: page.html and openapi.json of this folder, each with a NUL at
 * its end. The build makes their source (src/server/CMakeLists.txt). */
#ifndef LDM_SERVER_PAGE_H
#define LDM_SERVER_PAGE_H

extern const unsigned char ldm_page_html[], ldm_openapi_json[];

#endif
