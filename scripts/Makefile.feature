# SPDX-License-Identifier: MIT
#
# Is there what the build needs? A small program for each library is compiled
# and linked once; that it was found is remembered in the output folder, that
# it was missing is not.

feature-dir := $(o).feature
feature-id := $(subst /,_,$(subst $(space),_,$(strip $(CC))))
feature-made = $(feature-dir)/$1-$(feature-id)

# $(call probe,name,flags): the name of the file, or nothing
probe = $(or $(wildcard $(feature-made)),$(shell mkdir -p $(feature-dir) && \
	$(CC) $(CFLAGS) -o $(feature-made) scripts/feature/test-$1.c \
	$(LDFLAGS) $2 >/dev/null 2>&1 && echo $(feature-made)))
pkg = $(shell $(PKG_CONFIG) --cflags --libs $1 2>/dev/null)

# $(call need,name,flags,package)
need = $(if $(call probe,$1,$2),,$(error $1 was not found for $(CC): \
	install the package $3, or start with "scripts/bootstrap make"))

$(call need,libc,,libc6-dev)
$(call need,libnuma,-lnuma,libnuma-dev)
$(call need,libhugetlbfs,-lhugetlbfs,libhugetlbfs-dev)

ifneq ($(filter fuzzer,$(sans)),)
  $(call need,fuzzer,-fsanitize=fuzzer,libclang-rt-14-dev)
endif

# Trace points are left out where their header is not.
HAVE_USDT := $(call probe,sdt,)
ifeq ($(HAVE_USDT),)
  $(info no trace points: sys/sdt.h was not found for $(CC): \
	it is in the package systemtap-sdt-dev)
else
  CORE_CFLAGS += -DRN_USDT
endif

# So is what memcheck is told of objects.
HAVE_VALGRIND := $(call probe,valgrind,)
ifeq ($(HAVE_VALGRIND),)
  $(info nothing is told to memcheck: valgrind/memcheck.h was not found for \
	$(CC): it is in the package valgrind)
else
  CORE_CFLAGS += -DRN_MEMCHECK
endif

# The library alone needs no more.
lib-only := libs headers_check $(addprefix $(o),libslab.a $(SONAME) \
	libslab.so libslab.pc) $(malloc-libs) mm mm/% compat compat/%
ifneq ($(filter-out $(lib-only),$(may-build)),)
  $(call need,jansson,$(call pkg,jansson),libjansson-dev)
  $(call need,hiredis,$(call pkg,hiredis),libhiredis-dev)
  $(call need,zlib,$(call pkg,zlib),zlib1g-dev)
  $(call need,libzstd,$(call pkg,libzstd),libzstd-dev)
endif
ifneq ($(filter check check-valgrind fuzz check-fuzz selftests selftests/%, \
	$(may-build)),)
  $(call need,check,$(call pkg,check),check)
  # For the one test that is linked statically; not every system can.
  static-check := -static $(shell $(PKG_CONFIG) --static --libs check)
  STATIC_CHECK := $(if $(call probe,check,$(static-check)),$(static-check))
  # For those in C++; a cross compiler often has no C++ library.
  cxx-id := $(subst /,_,$(subst $(space),_,$(strip $(CXX))))
  cxx-made := $(feature-dir)/cxx-$(cxx-id)
  CAN_CXX := $(or $(wildcard $(cxx-made)),$(shell $(CXX) $(CFLAGS) \
	-o $(cxx-made) scripts/feature/test-cxx.cc $(LDFLAGS) \
	>/dev/null 2>&1 && echo $(cxx-made)))
  export STATIC_CHECK CAN_CXX
endif

# One of slabbench's peers, where it is there and slabbench is made. Its drivers
# are not made for the sanitizers. As system headers, its own are not warned
# about.
ifneq ($(if $(SAN),,$(filter-out $(lib-only),$(may-build))),)
  dpdk-cflags := $(shell $(PKG_CONFIG) --cflags libdpdk 2>/dev/null)
endif
ifneq ($(dpdk-cflags),)
  DPDK_CFLAGS := $(patsubst -I%,-isystem %,$(dpdk-cflags))
  DPDK_LIBS := $(shell $(PKG_CONFIG) --libs-only-L libdpdk) \
	-Wl,--no-as-needed -lrte_mempool_ring -lrte_mempool -lrte_eal
  DPDK_LIBS := $(if $(call probe,dpdk,$(DPDK_CFLAGS) $(DPDK_LIBS)),$(DPDK_LIBS))
endif
export DPDK_CFLAGS DPDK_LIBS

# Without it "slabinfo top" has no screen, and prints once.
ifneq ($(filter-out $(lib-only),$(may-build)),)
  ncurses-libs := $(or $(call pkg,ncursesw),-lncursesw -ltinfo)
  NCURSES_LIBS := $(if $(call probe,ncurses,$(ncurses-libs)),$(ncurses-libs))
  ifeq ($(NCURSES_LIBS),)
    $(info no screen for slabinfo top: ncurses was not found for $(CC): \
	it is in the package libncurses-dev)
  endif
endif
export NCURSES_LIBS
