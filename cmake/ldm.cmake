# SPDX-License-Identifier: MIT
# Compiler settings, and the two functions every room uses.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C) # the linker is told as well, whatever its default
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1")

add_compile_definitions(_DEFAULT_SOURCE _POSIX_C_SOURCE=200809L _FILE_OFFSET_BITS=64)
# -ffp-contract=off: a*b+c means the same on every processor; kernels that want FMA say so.
add_compile_options(-Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla
                    -Wpointer-arith -Wwrite-strings -Wformat=2 -ffp-contract=off
                    -fno-math-errno -fno-trapping-math)
if(CMAKE_C_COMPILER_ID MATCHES "Clang") # it takes {NULL} for a forgotten field; gcc knows it as "all zero"
    add_compile_options(-Wno-missing-field-initializers)
endif()
if(LDM_WERROR)
    add_compile_options(-Werror)
endif()
include_directories("${CMAKE_SOURCE_DIR}/include" "${CMAKE_SOURCE_DIR}/src")

if(LDM_SANITIZE)
    add_compile_options(-fsanitize=${LDM_SANITIZE} -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${LDM_SANITIZE})
    if(LDM_SANITIZE MATCHES "undefined")
        add_compile_options(-fno-sanitize-recover=undefined)
    endif()
else()
    add_compile_options(-fstack-protector-strong)
    if(CMAKE_BUILD_TYPE STREQUAL "Release")
        add_compile_definitions(_FORTIFY_SOURCE=2)
    endif()
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
        add_compile_options(-fcf-protection)
    endif()
    add_link_options(-Wl,-z,relro,-z,now -Wl,-z,noexecstack)
endif()

if(LDM_FUZZERS) # what libFuzzer steers by: the edges that an input reaches in every room
    add_compile_options(-fsanitize=fuzzer-no-link)
    add_link_options(-fsanitize=fuzzer-no-link)
endif()

# ldm_room(NAME SOURCES a.c b.c [LIBS PkgConfig::X ...]): one room as an object library.
function(ldm_room name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
    add_library(ldm_${name} OBJECT ${ARG_SOURCES})
    target_link_libraries(ldm_${name} PUBLIC ${ARG_LIBS})
    set_property(GLOBAL APPEND PROPERTY LDM_ROOMS ${name})
endfunction()

# ldm_pin(NAME...): these tests run on a processor of their own each. Two tests whose teams of threads
# share processors wait for each other: on two cores the tests with sanitizers took 643 s, and 497 s so.
# More threads than that are tried where a test says so (--threads 3).
function(ldm_pin)
    set_tests_properties(${ARGN} PROPERTIES PROCESSOR_AFFINITY ON)
endfunction()

# Tests that wait more than they compute, for servers, signals and processes to end.
function(ldm_unpin)
    set_tests_properties(${ARGN} PROPERTIES PROCESSOR_AFFINITY OFF)
endfunction()

# ldm_test(NAME SOURCES x_test.c x.c ... [ROOMS base ...] [LIBS ...] [LABELS ...]): a CMocka program
# run by ctest from the source folder. SOURCES are exactly what it links, besides whole ROOMS.
function(ldm_test name)
    if(NOT LDM_BUILD_TESTS)
        return()
    endif()
    cmake_parse_arguments(ARG "" "" "SOURCES;ROOMS;LIBS;LABELS" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    foreach(room ${ARG_ROOMS})
        target_sources(${name} PRIVATE $<TARGET_OBJECTS:ldm_${room}>)
        target_link_libraries(${name} PRIVATE ldm_${room})
    endforeach()
    target_link_libraries(${name} PRIVATE PkgConfig::CMOCKA Threads::Threads m ${ARG_LIBS})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
    add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
    if(ARG_LABELS)
        set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}")
    endif()
    if(NOT "threads" IN_LIST ARG_LABELS)
        ldm_pin(${name})
    endif()
endfunction()
