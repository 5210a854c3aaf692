# SPDX-License-Identifier: MIT
# Two commands do everything on a fresh Debian 12: `make demo` and `make test`. Both install the
# missing system packages first (root or sudo). CMake and Ninja do the building; see CMakePresets.json.

# The release tree is configured once; Ninja runs CMake again when a CMakeLists.txt changes.
CONFIGURED = @test -f build/$(1)/build.ninja || cmake --preset $(1)

PREFIX ?= /usr/local
JOBS ?= $(shell nproc)

.PHONY: all help deps demo study test train vocab install dist deb wheel test-python test-cluster test-server clean format tidy errors check-layers onednn

all:
	$(call CONFIGURED,release)
	@cmake --build --preset release --parallel $(JOBS) --target ldm ldmc ldm-server pages

help:
	@echo 'make             builds build/ldm, build/ldm-server and the library (packages: make deps)'
	@echo 'make demo        installs what is missing, builds, makes a sheet of pictures'
	@echo 'make test        installs what is missing, builds with sanitizers and optimised, runs all tests'
	@echo 'make install     builds and installs into PREFIX ($(PREFIX)); DESTDIR is put before it'
	@echo 'make dist        writes the release archive, build/ldm-VERSION.tar.gz, from the last commit'
	@echo 'make deb         builds the Debian packages into build/deb (ldm, ldm-server, libldmc0, libldmc-dev)'
	@echo 'make wheel       builds the Python package with all libraries inside, into build/wheel'
	@echo 'make test-python tests the Python package in an environment of its own'
	@echo 'make test-cluster tries Open MPI, ssh and Slurm over three machines made of namespaces (root)'
	@echo 'make test-server the server under load, with clients of others, Chromium and schemathesis'
	@echo 'make deps        installs the Debian packages that building and testing needs (root or sudo)'
	@echo 'make onednn      fetches oneDNN 3 into build/onednn: --precision bf16 with AMX'
	@echo 'make study       measures what docs/STUDY.md reports, and writes it there'
	@echo 'make train       trains the demo model again (hours; needs Python packages)'
	@echo 'make vocab       gets the vocabularies of the text encoders into build/vocab'
	@echo 'make check-layers holds every include against src/rooms.txt'
	@echo 'make errors      writes docs/ERRORS.md from the sources and docs/errors.txt'
	@echo 'make format      lays out the C sources (clang-format 14)'
	@echo 'make tidy        looks for mistakes with clang-tidy (minutes)'
	@echo 'make clean       removes build/'

deps:
	@tools/install_deps.sh

demo: deps
	@$(MAKE) --no-print-directory all
	@tools/demo.sh

# Measures what docs/STUDY.md reports and writes it there.
study: deps
	@$(MAKE) --no-print-directory all
	@tools/make_study.sh

test: deps
	@tools/run_tests.sh $(TEST_OPTIONS)

# Its own packages (Open MPI, Slurm, sshd) are installed where they are missing.
test-cluster: deps
	@$(MAKE) --no-print-directory all
	@cmake --build --preset release --parallel $(JOBS) --target make_inception
	@tools/test_cluster.sh build/ldm build/release/tests/make_inception

# Load, webuiapi, openai and sd-parsers, Chromium (installed where it is missing), schemathesis.
test-server: all
	@tools/test_server.sh all

train:
	@train/run.sh

# The vocabularies of the text encoders, which are not ours to hand on, into build/vocab, where ldm
# looks for them; `make install` takes them along.
vocab:
	@tools/get_vocab.sh

# The prefix goes into ldmc.pc and into where the library looks for the shipped model.
install:
	@cmake --preset release -DCMAKE_INSTALL_PREFIX="$(PREFIX)"
	@$(MAKE) --no-print-directory all
	@cmake --install build/release

# The same commit gives the same bytes.
dist:
	@tools/make_dist.sh build

# Its own tools (tools/install_deps.sh --deb) are installed where they are missing.
deb:
	@tools/install_deps.sh --deb
	@tools/make_deb.sh

# The Python package; both make a virtual environment in build/python (packages by pip).
test-python: all
	@tools/python_package.sh test

wheel: all
	@tools/python_package.sh wheel

# oneDNN 3 for --precision bf16 with AMX, into build/onednn; existing builds are configured again.
onednn:
	@tools/get_onednn.sh
	@if [ -f build/release/build.ninja ]; then cmake --preset release; fi

errors:
	@tools/make_errors.sh --write

tidy:
	@tools/tidy.sh

check-layers:
	@tools/check_layers.sh

format:
	@tools/check_format.sh --write

clean:
	rm -rf build
