# libptq: `make` builds the library and the `ptq` command into build/.
#
#   make                      build/ptq, build/libptq.so, build/libptq.a
#   make test (check)         the tests that need nothing but a compiler
#   make test-all             all tests, including long ones
#   make test-real            the tests on SmolLM2-135M
#   make fuzz                 searches for inputs that break the parsers (needs clang; test/README.md)
#   make demo                 compares all methods on the model in examples/
#   make bench                kernel speed relative to the machine's limits
#   make install PREFIX=/usr/local DESTDIR=
#   make clean
#
# To use another compiler: CC=clang. To cross-compile: CROSS_COMPILE=aarch64-linux-gnu-, and
# RUN=qemu-aarch64 to run the tests. To build elsewhere: BUILD=build-x.

VERSION := 0.1.0
SOVERSION := 0

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
BUILD ?= build
RUN ?=

ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)gcc
endif
ifeq ($(origin AR),default)
AR := $(CROSS_COMPILE)ar
endif
INSTALL ?= install

CFLAGS ?= -O3 -g
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes
# For bit-exact results, fused multiply-adds are used only where the source says so. The other two
# options let the compiler use vector instructions for sqrt and rounding; they change no value.
EXACT := -ffp-contract=off -fno-math-errno -fno-trapping-math
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -Iinclude $(WARNINGS) -fvisibility=hidden -fPIC -MMD -MP \
              $(EXACT) $(CFLAGS)
LDLIBS := -lm -lpthread

LIB_SOURCES := $(sort $(wildcard lib/*.c lib/*/*.c))
CMD_SOURCES := $(sort $(wildcard src/*.c src/*/*.c))
TEST_SOURCES := $(sort $(wildcard test/*.c))
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(BUILD)/%.o)
CMD_OBJECTS := $(CMD_SOURCES:%.c=$(BUILD)/%.o)
TEST_OBJECTS := $(TEST_SOURCES:%.c=$(BUILD)/%.o)

# Fuzz targets are programs that run files of inputs. With FUZZ_MAIN=mutate and clang's
# -fsanitize=fuzzer they are programs that also search for inputs.
FUZZ_MAIN ?= replay
FUZZ_TARGETS := $(patsubst test/fuzz/fuzz_%.c,%,$(sort $(wildcard test/fuzz/fuzz_*.c)))
FUZZ_PROGRAMS := $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%)
FUZZ_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard test/fuzz/*.c)))
FUZZ_SHARED := $(filter-out $(FUZZ_TARGETS:%=$(BUILD)/test/fuzz/fuzz_%.o) \
                            $(BUILD)/test/fuzz/replay.o $(BUILD)/test/fuzz/mutate.o,$(FUZZ_OBJECTS))

DEPENDENCIES := $(patsubst %.o,%.d,$(LIB_OBJECTS) $(CMD_OBJECTS) $(TEST_OBJECTS) $(FUZZ_OBJECTS))

STATIC := $(BUILD)/libptq.a
SHARED := $(BUILD)/libptq.so
SONAME := libptq.so.$(SOVERSION)

all: $(STATIC) $(SHARED) $(BUILD)/ptq

$(STATIC): $(LIB_OBJECTS)
	rm -f $@
	$(AR) rcs $@ $(LIB_OBJECTS)

$(SHARED): $(LIB_OBJECTS) lib/libptq.map
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=lib/libptq.map \
	    -o $(BUILD)/$(SONAME) $(LIB_OBJECTS) $(LDLIBS)
	ln -sf $(SONAME) $@

$(BUILD)/ptq: $(CMD_OBJECTS) $(STATIC)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(CMD_OBJECTS) $(STATIC) $(LDLIBS)

$(BUILD)/unit: $(TEST_OBJECTS) $(filter-out $(BUILD)/src/main.o,$(CMD_OBJECTS)) $(STATIC)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# What the targets use, from which the linker takes what one of them needs.
$(BUILD)/fuzz/libcommand.a: $(FUZZ_SHARED) $(filter-out $(BUILD)/src/main.o,$(CMD_OBJECTS))
	@mkdir -p $(@D)
	rm -f $@
	$(AR) rcs $@ $^

$(FUZZ_PROGRAMS): $(BUILD)/fuzz/%: $(BUILD)/test/fuzz/fuzz_%.o $(BUILD)/test/fuzz/$(FUZZ_MAIN).o \
                  $(BUILD)/fuzz/libcommand.a $(STATIC)
	$(CC) $(CFLAGS) $(LDFLAGS) $(FUZZ_LDFLAGS) -o $@ $^ $(LDLIBS)

fuzz-targets: $(FUZZ_PROGRAMS)

# The same programs, in a folder of their own, that search. Clang takes minutes for the checks of
# the vector kernels, so these have none, and the targets run the portable ones.
FUZZ_CFLAGS := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all \
               -fsanitize=fuzzer-no-link,address,undefined,float-cast-overflow
ifeq ($(FUZZ_MAIN),mutate)
$(filter-out %/portable.o,$(filter $(BUILD)/lib/kernel/%,$(LIB_OBJECTS))): \
    ALL_CFLAGS += -fno-sanitize=all
endif

fuzz:
	$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzzing CC=clang CFLAGS="$(FUZZ_CFLAGS)" FUZZ_MAIN=mutate \
	    FUZZ_LDFLAGS=-fsanitize=fuzzer CPPFLAGS=-DFUZZ_ISA=PTQ_ISA_PORTABLE fuzz-targets
	BUILD=$(BUILD) sh test/fuzz/run.sh $(FUZZ_TARGETS)

# Only the command and the tests see the library's internals.
$(CMD_OBJECTS) $(TEST_OBJECTS) $(FUZZ_OBJECTS): ALL_CFLAGS += -Ilib -Isrc
$(LIB_OBJECTS): ALL_CFLAGS += -Ilib -DPTQ_BUILDING

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(CPPFLAGS) -c -o $@ $<

test check: all $(BUILD)/unit fuzz-targets
	BUILD=$(BUILD) RUN="$(RUN)" CC="$(CC)" sh test/run.sh

test-all: all $(BUILD)/unit fuzz-targets
	BUILD=$(BUILD) RUN="$(RUN)" CC="$(CC)" LONG=1 sh test/run.sh

test-real: all $(BUILD)/unit
	BUILD=$(BUILD) RUN="$(RUN)" sh test/real.sh

demo: all
	BUILD=$(BUILD) RUN="$(RUN)" sh examples/demo.sh

bench: all
	$(RUN) $(BUILD)/ptq bench

$(BUILD)/libptq.pc: pkgconfig/libptq.pc.in Makefile
	@mkdir -p $(@D)
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	    -e 's|@VERSION@|$(VERSION)|' $< > $@

install: all
	rm -f $(BUILD)/libptq.pc
	$(MAKE) $(BUILD)/libptq.pc
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR)/ptq \
	    $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man3
	$(INSTALL) -m 755 $(BUILD)/ptq $(DESTDIR)$(BINDIR)/ptq
	$(INSTALL) -m 644 $(STATIC) $(DESTDIR)$(LIBDIR)/libptq.a
	$(INSTALL) -m 755 $(BUILD)/$(SONAME) $(DESTDIR)$(LIBDIR)/libptq.so.$(VERSION)
	ln -sf libptq.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libptq.so
	$(INSTALL) -m 644 include/ptq/*.h $(DESTDIR)$(INCLUDEDIR)/ptq/
	$(INSTALL) -m 644 $(BUILD)/libptq.pc $(DESTDIR)$(LIBDIR)/pkgconfig/libptq.pc
	$(INSTALL) -m 644 src/ptq.1 $(DESTDIR)$(MANDIR)/man1/ptq.1
	$(INSTALL) -m 644 include/ptq/libptq.3 $(DESTDIR)$(MANDIR)/man3/libptq.3

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/ptq $(DESTDIR)$(LIBDIR)/libptq.a $(DESTDIR)$(LIBDIR)/libptq.so*
	rm -f $(DESTDIR)$(LIBDIR)/pkgconfig/libptq.pc
	rm -f $(DESTDIR)$(MANDIR)/man1/ptq.1 $(DESTDIR)$(MANDIR)/man3/libptq.3
	rm -rf $(DESTDIR)$(INCLUDEDIR)/ptq

clean:
	rm -rf $(BUILD)

-include $(DEPENDENCIES)
.PHONY: all test check test-all test-real fuzz fuzz-targets demo bench install uninstall clean
.DELETE_ON_ERROR:
