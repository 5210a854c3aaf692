# SPDX-License-Identifier: MIT
# Manual pages and completions, made by running the programs that were built (tools/make_pages.sh).

option(LDM_PAGES "Make and install manual pages and completions" ON)
set(LDM_ZSH_DIR "" CACHE STRING "Where zsh looks for completions, below the prefix")
if(NOT LDM_ZSH_DIR)
    # Debian's zsh reads these two
    if(CMAKE_INSTALL_PREFIX MATCHES "^/usr/?$")
        set(LDM_ZSH_DIR "${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions")
    else()
        set(LDM_ZSH_DIR "${CMAKE_INSTALL_DATADIR}/zsh/site-functions")
    endif()
endif()
file(GLOB LDM_PAGES_SCRIPTS "${CMAKE_SOURCE_DIR}/tools/make_pages.sh" "${CMAKE_SOURCE_DIR}/tools/pages/*.awk")

# ldm_pages(TARGET OPTION...): the pages of a program; the options make it print its tables.
function(ldm_pages target)
    if(NOT LDM_PAGES OR CMAKE_CROSSCOMPILING)
        return()
    endif()
    set(made "${CMAKE_BINARY_DIR}/pages/${target}")
    add_custom_command(OUTPUT "${made}/made"
        COMMAND "${CMAKE_SOURCE_DIR}/tools/make_pages.sh" $<TARGET_FILE:${target}> "${made}" ${ARGN}
        COMMAND "${CMAKE_COMMAND}" -E touch "${made}/made"
        DEPENDS ${target} ${LDM_PAGES_SCRIPTS}
        COMMENT "Making the pages of ${target}" VERBATIM)
    add_custom_target(pages_${target} ALL DEPENDS "${made}/made")
    if(NOT TARGET pages)
        add_custom_target(pages)
    endif()
    add_dependencies(pages pages_${target})
    install(DIRECTORY "${made}/man/" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
    install(DIRECTORY "${made}/bash/" DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
    install(DIRECTORY "${made}/zsh/" DESTINATION "${LDM_ZSH_DIR}")
    install(DIRECTORY "${made}/fish/" DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")
endfunction()
