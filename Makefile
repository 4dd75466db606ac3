# SPDX-License-Identifier: MIT
#
# libslab: type "make help" for the targets.
#
# The version is written here and nowhere else.
VERSION = 0
PATCHLEVEL = 1
SUBLEVEL = 0

MAKEFLAGS += -rR --no-print-directory
.DELETE_ON_ERROR:
.SUFFIXES:

# The default target, before any included file can name another.
PHONY := all
all:

# V=1 shows each command; otherwise a line says what is made. -s hides both.
ifeq ($(origin V),command line)
  KBUILD_VERBOSE := $(V)
endif
ifneq ($(filter 1 2,$(KBUILD_VERBOSE)),)
  quiet :=
  Q :=
else
  quiet := quiet_
  Q := @
endif
ifneq ($(findstring s,$(filter-out --%,$(firstword x$(MAKEFLAGS)))),)
  quiet := silent_
endif
export quiet Q

# Everything runs at the top of the source tree; "o" goes before the name of
# whatever is made. It is empty unless O=dir asks for another folder.
ifneq ($(words $(CURDIR) $(O)),$(if $(O),2,1))
  $(error the paths of the source and of the output folder may hold no space)
endif
ifneq ($(findstring =,$(O))$(findstring :,$(O))$(findstring %,$(O)),)
  $(error O=$(O): the name of the output folder may hold none of = : %)
endif
o := $(if $(O),$(patsubst %/,%,$(O))/)
export o

# Not RN_*: those in the environment are the library's own options.
LIBSLAB_VERSION := $(VERSION).$(PATCHLEVEL).$(SUBLEVEL)
SONAME := libslab.so.$(VERSION)
MALLOC_SONAME := libslabmalloc.so.$(VERSION)
export LIBSLAB_VERSION SONAME MALLOC_SONAME

# Goals that neither compile nor need a compiler.
no-build := check-model help clean mrproper tags TAGS cscope uninstall
goals := $(or $(MAKECMDGOALS),all)
may-build := $(filter-out $(no-build),$(goals))

include scripts/Kbuild.include
ifneq ($(may-build),)
  include scripts/Makefile.compiler
  include scripts/Makefile.warn
  include scripts/Makefile.san
  include scripts/Makefile.feature
endif

# Folders of the library, of programs, and of the tests.
core-y := mm
prog-dirs := tools/slabtrace tools/slabbench tools/slabinfo samples/wordfreq samples/queries
test-dirs := selftests

libs := $(addprefix $(o),libslab.a $(SONAME) libslab.so libslab.pc)
# The malloc replacement; a sanitizer is one itself.
malloc-y := $(if $(SAN),,compat)
malloc-libs := $(if $(SAN),,$(addprefix $(o),libslabmalloc.a \
	$(MALLOC_SONAME) libslabmalloc.so))
all: $(libs) $(malloc-libs) $(prog-dirs)

include scripts/Makefile.lib
include scripts/Makefile.install
include scripts/Makefile.dev

# What the folders make is made by one more make in each.
PHONY += $(core-y) $(malloc-y) $(prog-dirs) $(test-dirs) libs
$(core-y) $(malloc-y): | headers
	$(Q)$(MAKE) $(build)=$@ need-pic=y
$(prog-dirs): $(o)libslab.a
	$(Q)$(MAKE) $(build)=$@
# What "slabbench report" starts lies beside it.
PHONY += report
tools/slabbench: | report
report:
	@mkdir -p $(o)tools/slabbench
	@test $(o)tools/slabbench/report -ef tools/slabbench/report || \
		ln -sfnT $(abspath tools/slabbench/report) \
		$(o)tools/slabbench/report
# What slabbench is linked with.
tools/slabbench: tools/slabtrace
$(test-dirs): $(libs) $(malloc-libs) $(prog-dirs)
	$(Q)$(MAKE) $(build)=$@
libs: $(libs) $(malloc-libs)

# Tools, samples and tests include <rn/...> through this folder, in which
# nothing but the public headers can be found.
PHONY += headers
headers:
	@mkdir -p $(o)usr/include
	@test $(o)usr/include/rn -ef include/rn || \
		ln -sfnT $(abspath include/rn) $(o)usr/include/rn

# make mm/slub.o, mm/slub.i, mm/slub.s
singles := $(filter %.o %.i %.s,$(MAKECMDGOALS))
PHONY += $(singles)
$(singles): | headers
	$(Q)$(MAKE) $(build)=$(patsubst %/,%,$(dir $@)) $(o)$@

# --- tests and measurements ---

PHONY += check check-numa check-valgrind bench bench-full yardstick
check check-numa check-valgrind: $(libs) $(malloc-libs) $(prog-dirs)
	$(Q)$(MAKE) $(build)=selftests $@

# Fuzz targets are clang's, and all that they look at is compiled for them.
PHONY += fuzz check-fuzz
ifneq ($(filter fuzzer,$(sans)),)
fuzz check-fuzz: mm tools/slabtrace
	$(Q)$(MAKE) $(build)=selftests $@
else
fuzz check-fuzz:
	$(Q)$(MAKE) O=$(o)build-fuzz SAN=fuzzer,address,undefined \
		CC="$(if $(findstring clang,$(CC)),$(CC),clang)" $@
endif

# Wrong uses of memory are to be seen as such.
PHONY += check-faults
ifneq ($(filter address,$(sans)),)
check-faults: $(libs) $(prog-dirs)
	$(Q)$(MAKE) $(build)=selftests $@
else
check-faults:
	$(Q)$(MAKE) O=$(o)build-faults SAN=address,undefined $@
endif

# What is searched are models of the library, so nothing of it is built.
PHONY += check-model
check-model:
	@mkdir -p $(o)model
	$(Q)scripts/check-model $(or $(o:%/=%),.) $(MODELS)

bench: $(prog-dirs)
	$(Q)scripts/bench $(o) $(BENCH_ARGS)

bench-full: $(prog-dirs)
	$(Q)scripts/bench $(o) --full $(BENCH_ARGS)

yardstick: $(malloc-libs) $(prog-dirs)
	$(Q)python3 -B scripts/yardstick $(o)tools/slabbench/slabbench \
		$(YARDSTICK_ARGS)

# --- tidying up ---

made-dirs := $(sort $(core-y) compat $(dir $(core-y) $(prog-dirs)) $(prog-dirs) \
	$(test-dirs))
made-dirs := $(patsubst %/,%,$(filter-out ./,$(made-dirs)))

PHONY += clean mrproper
clean:
	$(Q)for d in $(addprefix $(o),$(made-dirs)); do \
		test ! -d $$d || find $$d -type f \
		\( -name '*.[ois]' -o -name '*.a' -o -name '.*.cmd' \
		-o -name '.*.d' \) -exec rm -f {} + ; \
	done
	$(Q)rm -f $(addprefix $(o),tools/slabbench/slabbench \
		tools/slabbench/slabbench-dpdk.so \
		tools/slabtrace/libslabtrace.so \
		tools/slabinfo/slabinfo samples/wordfreq/wordfreq \
		samples/queries/queries)
	$(Q)rm -rf $(addprefix $(o)selftests/,static shared unit preload log)
	$(Q)rm -f $(libs) $(malloc-libs) $(addprefix $(o),libslab.o \
		.libslab.o.cmd libslabmalloc.o .libslabmalloc.o.cmd \
		.libslabmalloc.a.cmd .$(MALLOC_SONAME).cmd .libslabmalloc.so.cmd \
		.libslab.a.cmd .$(SONAME).cmd .libslab.so.cmd .libslab.pc.cmd)

mrproper: clean
	$(Q)rm -rf $(addprefix $(o),usr .feature .headers_check numa-vm model \
		build-faults build-fuzz)
	$(Q)rm -f $(addprefix $(o),compile_commands.json) tags TAGS \
		cscope.out cscope.in.out cscope.po.out cscope.files
	$(Q)test ! -L $(o)tools/slabbench/report || \
		rm -f $(o)tools/slabbench/report

# --- help ---

PHONY += help
help:
	@sed 1d scripts/help.txt

PHONY += FORCE
FORCE:

.PHONY: $(PHONY)
