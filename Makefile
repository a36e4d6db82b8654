# Everything that is done with fidokey from its source. `make demo` and `make test` set up what they need.
#
#   make          builds what is installed
#   make demo     a registration and logins in front of your eyes, in a virtual machine
#   make test     all three rings of tests
#   make second   ring 1 again, with another key than the usual one; takes libclang and some minutes
#   make faults   logins of every kind in which each system call fails in every way, and each allocation, as tables
#   make mutants  each line that decides a login changed, and a test that tells; takes half an hour
#   make fuzz     each reader of hostile bytes, for SECONDS=60 of processor time, on inputs that the fuzzer makes up
#   make bench    what a login costs, beside pam-u2f, into docs/BENCHMARKS.md; takes a quarter of an hour
#   make compare  what fidokey and pam-u2f do in the same situation, into docs/COMPARISON.md; takes ten minutes
#   make ten-minutes  a person's first ten minutes as text, into docs/TEN-MINUTES.md
#   make attacked  self-service attacked, with what the log has of it, into docs/SELF-SERVICE.md; takes half an hour
#   make deb rpm  the packages, into target/packages
#   make install  as root, after make; nobody's login is different yet

CARGO   ?= cargo
DESTDIR ?=
PREFIX  ?= /usr
# Where libpam looks: Debian's multiarch directory, lib64 where there is one, lib elsewhere.
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
PAMDIR  ?= $(if $(and $(MULTIARCH),$(wildcard $(PREFIX)/lib/$(MULTIARCH))),$(PREFIX)/lib/$(MULTIARCH),$(if $(wildcard $(PREFIX)/lib64),$(PREFIX)/lib64,$(PREFIX)/lib))/security
BINDIR  ?= $(PREFIX)/bin
MANDIR  ?= $(PREFIX)/share/man
DOCDIR  ?= $(PREFIX)/share/doc/fidokey
ETCDIR  ?= /etc/fidokey
STATEDIR ?= /var/lib/fidokey
STACKSDIR ?= /var/lib/fidokey-stacks
LICENSES ?= LICENSE-MIT LICENSE-APACHE
SHAREDIR ?= $(PREFIX)/share
# Debian's zsh looks for those of packages in a directory of its own.
ZSHDIR  ?= $(SHAREDIR)/zsh/$(if $(wildcard /etc/debian_version),vendor-completions,site-functions)
# Where systemd looks wherever PREFIX is: the units name /usr/bin/fidokey.
UNITDIR ?= /usr/lib/systemd/system
# What one family of systems has and the others would not look at: Debian's pam-auth-update, AppArmor, authselect.
PAMCONFIGS ?= $(if $(wildcard /usr/share/pam-configs),yes)
APPARMOR ?= $(if $(wildcard /etc/apparmor.d),yes)
AUTHSELECT ?= $(if $(wildcard /usr/share/authselect),yes)

MODULE  := target/release/libpam_fidokey.so
COMMAND := target/release/fidokey
STAGE   := target/stage

.PHONY: all build reproducible setup demo test ten-minutes attacked ring12 simulate vm faults bench compare second second-lint mutants fuzz fuzz-keep fuzz-coverage fuzz-lint lint bar docs manuals sbom deny advisories install uninstall clean

all: build

# Where the sources of others are is not in what is built: two builds are the same, byte by byte, wherever they were
# made. What RUSTFLAGS has otherwise stays.
CRATES := $(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src
RELEASE_FLAGS := $(RUSTFLAGS) --remap-path-prefix=$(CRATES)=/crates --remap-path-prefix=$(CURDIR)=/fidokey
# The same for the C in the command, which ctap-hid-fido2 brings.
RELEASE_CFLAGS := $(CFLAGS) -ffile-prefix-map=$(CRATES)=/crates -ffile-prefix-map=$(CURDIR)=/fidokey

# What polkit runs as root is one program, which the command and polkit's actions name.
IF_ELSEWHERE := $(if $(filter-out /usr/bin,$(BINDIR)),FIDOKEY_COMMAND_PATH=$(BINDIR)/fidokey)

# Each alone: built together, the features that one needs would be in the other.
build:
	RUSTFLAGS="$(RELEASE_FLAGS)" $(CARGO) build --release --locked -p pam_fidokey
	RUSTFLAGS="$(RELEASE_FLAGS)" CFLAGS="$(RELEASE_CFLAGS)" $(IF_ELSEWHERE) $(CARGO) build --release --locked -p fidokey

# The same again, elsewhere.
reproducible: build
	tests/reproducible.sh

setup:
	tests/setup.sh

# Where there can be no virtual machine, it says so and shows the same through libpam in process; what setup
# misses then need not be there.
demo:
	@tests/setup.sh || echo "demo: going on with what is there" >&2
	@$(MAKE) --no-print-directory stage
	@tests/demo.sh $(STAGE)

# The machines' images are made meanwhile, which waits for the network most of the time; whatever goes wrong with them,
# ring 3 says.
test: setup
	@mkdir -p .cache/vm
	@(tests/vm/image.sh bookworm && tests/vm/image.sh sid && tests/vm/image.sh sid-systemd) >.cache/vm/images.log 2>&1 & \
		$(MAKE) --no-print-directory ring12; status=$$?; wait; exit $$status
	@$(MAKE) --no-print-directory vm

# Rings 1 and 2, with the module that is shipped and the virtual one built like it, and what hostile keys cost, as a
# table. Then ring 2 with both modules as `cargo test` builds them, which have debug assertions (BAR X3), but for what
# makes one system call after the other fail and what waits: that takes most of the time, and says the same of either; and
# for what runs the command, which is the one that is shipped.
# An overflow, which is what they could differ by, is none that login could reach: see the lints in Cargo.toml.
ONCE := failing:: stacks:: judged:: state_calls:: many:: opens:: environment:: demo:: clocks:: plugged:: strings:: signals:: tries:: power::

SHIPPED := FIDOKEY_SO=$(CURDIR)/$(MODULE) FIDOKEY_VIRTUAL_SO=$(CURDIR)/target/release/libfidokey_virtual.so \
	FIDOKEY_COMMAND=$(CURDIR)/$(COMMAND)

# Always the whole workspace: of a part of it, what others need of a crate would not be in it, and it be built again. What
# fails thousands of times takes all processors, several for each, so nothing that waits is beside it.
ring12: build
	RUSTFLAGS="$(RELEASE_FLAGS)" $(CARGO) build --release --locked -p fidokey_virtual
	$(SHIPPED) $(CARGO) test --locked --workspace -- --skip failing::
	$(SHIPPED) $(CARGO) test --locked --workspace --test ring2 -- failing:: --test-threads=$$(($$(nproc) * 3))
	$(CARGO) test --locked --workspace --test hostile -- --nocapture
	$(CARGO) test --locked --workspace --test ring2 -- $(addprefix --skip ,$(ONCE))

# Ring 3: Debian 12, then what differs in the later ones. VM_ALL=1 has what `make test` leaves out, for the time it takes.
vm: build stage
	@for version in "" next; do \
		FIDOKEY_BUILT=target/release packaging/build.sh deb $$version >.cache/vm/deb.log 2>&1 || { cat .cache/vm/deb.log; exit 1; }; done
	tests/install.sh
	tests/vm/all.sh $(STAGE) target/packages

# One machine with both modules; 1 where a count of ours is not below pam-u2f's. One processor: the keys then go before
# who writes to them.
bench: build stage
	tests/bench/command.sh $(COMMAND) docs/BENCHMARKS.md
	VM_CPUS=1 VM_TIMEOUT=3600 tests/vm/run.sh --name bench --suite sid-bench --install $(STAGE) bench
	tests/bench/table.sh docs/BENCHMARKS.md <.cache/vm/last-bench.log

# A person's first ten minutes as a terminal shows them, from a machine of their own.
ten-minutes: build stage
	tests/vm/run.sh --name ten-minutes --suite bookworm --install $(STAGE) ten-minutes
	tests/vm/transcript.sh <.cache/vm/last-ten-minutes.log >docs/TEN-MINUTES.md

# What pkexec and the command do with whoever attacks self-service; 1 where something else came of it. Each attempt takes an
# authentication, of some seconds in an emulated machine.
attacked: build stage
	VM_TIMEOUT=3600 tests/vm/run.sh --name attacked --suite sid-systemd --install $(STAGE) selfservice-attacked
	tests/vm/attempts.sh <.cache/vm/last-attacked.log >docs/SELF-SERVICE.md

# `make test` has each call fail in one way. What else the tests say is only said when one has failed.
faults: build
	RUSTFLAGS="$(RELEASE_FLAGS)" $(CARGO) build --quiet --release --locked -p fidokey_virtual
	@FIDOKEY_FAULTS=all $(SHIPPED) \
		$(CARGO) test --quiet --locked --workspace --test ring2 -- --nocapture failing:: \
		>target/faults.log 2>&1 || { cat target/faults.log; exit 1; }
	@grep -o '|.*|$$' target/faults.log

# One machine with both modules again; 1 where either does something else than tests/vm/guest/twin.expected says.
compare: build stage
	VM_CPUS=1 VM_TIMEOUT=3600 tests/vm/run.sh --name compare --suite sid --install $(STAGE) \
		twin twin-hosts twin-waits twin-prompts
	tests/bench/comparison.sh docs/COMPARISON.md <.cache/vm/last-compare.log

# One change after the other in a copy of the source; 1 where no test has told. What is shown then is in target/mutants.out.
mutants:
	$(CARGO) install --quiet --locked --root .cache/tools cargo-mutants@27.1.0
	CARGO_TARGET_DIR=$(CURDIR)/target/mutants .cache/tools/bin/cargo-mutants mutants --baseline skip --timeout 300 \
		--output target $(MUTANTS)

# Another firmware as the key. A workspace of its own, which nothing of the above builds.
second:
	tests/second/setup.sh
	cd tests/second && $(CARGO) test --locked --target-dir $(CURDIR)/target/second

second-lint:
	tests/second/setup.sh
	cd tests/second && $(CARGO) fmt --check
	cd tests/second && $(CARGO) clippy --locked --all-targets --target-dir $(CURDIR)/target/second -- -D warnings

# Inputs that nobody thought of, into everything that reads what a key sends or a file says: docs/FUZZING.md. A workspace of
# its own, like the above. What was found before is in ring 1.
SECONDS ?= 60

fuzz:
	tests/fuzz/setup.sh
	tests/fuzz/fuzz.sh run $(SECONDS)

# What was found since, into the committed inputs.
fuzz-keep:
	tests/fuzz/setup.sh
	tests/fuzz/fuzz.sh keep

# What of the code the committed inputs reach.
fuzz-coverage:
	tests/fuzz/setup.sh
	tests/fuzz/fuzz.sh coverage

fuzz-lint:
	tests/fuzz/setup.sh
	cd tests/fuzz && $(CARGO) fmt --check
	cd tests/fuzz && $(CARGO) clippy --locked --all-targets --target-dir $(CURDIR)/target/fuzz -- -D warnings

# What `make install` puts somewhere, for the virtual machine.
.PHONY: stage
stage: build
	rm -rf $(STAGE)
	@$(MAKE) --silent --no-print-directory install DESTDIR=$(CURDIR)/$(STAGE)

# Of the fuzzer's workspace what takes no C++ compiler: make fuzz-lint has the rest.
lint:
	cd tests/fuzz && $(CARGO) fmt --check && $(CARGO) metadata --locked --format-version 1 >/dev/null
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items \
		-p fidokey-core -p fidokey-system -p pam_fidokey -p fidokey -p fidokey-tests

# Which numbered statements have a test.
bar:
	tests/bar.sh

# The parts of the manuals that are made from the code.
manuals:
	$(CARGO) run --quiet --locked -p fidokey-tests --bin manuals packaging/man
	FIDOKEY_MANUALS=write $(CARGO) test --quiet --locked --workspace --bin fidokey -- manual::

# What completes the command line, from its definition.
.PHONY: completions
completions:
	FIDOKEY_COMPLETIONS=write $(CARGO) test --quiet --locked --workspace --bin fidokey -- completions::

# Made of the source as git has it, with the crates of others beside it, in a directory of its own: what a packager would
# do (packaging/README.md). Both are compiled once. PACKAGE_VERSION is for tests of an upgrade.
PACKAGE_VERSION ?=
.PHONY: deb rpm package-setup package-lint packages-test

package-setup:
	packaging/setup.sh

deb rpm: package-setup
	packaging/build.sh $@ $(PACKAGE_VERSION)

# What lintian and rpmlint say of them, with the list of what they have, into docs/PACKAGES.md; 1 where they complain.
package-lint: deb rpm
	packaging/lint.sh docs/PACKAGES.md

# Installed, upgraded and removed by dpkg and rpm, in a Debian of their own, which is kept in .cache.
packages-test: deb rpm
	packaging/build.sh deb next
	packaging/build.sh rpm next
	tests/packages/check.sh
	tests/packages/units.sh
	@tests/packages/root.sh >/dev/null
	tests/packages/deb.sh & deb=$$!; tests/packages/rpm.sh; rpm=$$?; wait $$deb && exit $$rpm

# What is compiled into what is installed.
sbom:
	$(CARGO) run --quiet --locked -p fidokey-tests --bin sbom packaging/sbom

# Licences, sources and versions of what is shipped; and its known weaknesses, which are kept on GitHub. Takes some minutes
# the first time.
deny:
	$(CARGO) install --quiet --locked --root .cache/tools cargo-deny@0.20.2
	.cache/tools/bin/cargo-deny --locked check licenses bans sources

advisories: deny
	.cache/tools/bin/cargo-deny --locked check advisories

docs:
	$(CARGO) doc --locked --no-deps -p fidokey-core -p fidokey-system

install:
	@test -f $(MODULE) -a -f $(COMMAND) || { echo "Nothing is built: run make first." >&2; exit 1; }
	install -d $(DESTDIR)$(PAMDIR) $(DESTDIR)$(BINDIR) $(DESTDIR)$(DOCDIR)/examples
	install -d $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man8
	install -d -m 755 $(DESTDIR)$(ETCDIR) $(DESTDIR)$(ETCDIR)/users
	install -d -m 700 $(DESTDIR)$(STATEDIR) $(DESTDIR)$(STACKSDIR)
	# By rename: a program that has the old module loaded keeps it whole.
	install -m 644 $(MODULE) $(DESTDIR)$(PAMDIR)/pam_fidokey.so.new
	mv $(DESTDIR)$(PAMDIR)/pam_fidokey.so.new $(DESTDIR)$(PAMDIR)/pam_fidokey.so
	install -m 755 $(COMMAND) $(DESTDIR)$(BINDIR)/fidokey
	install -m 644 packaging/man/fidokey.1 $(DESTDIR)$(MANDIR)/man1/
	install -m 644 packaging/man/fidokey.config.5 packaging/man/fidokey.record.5 $(DESTDIR)$(MANDIR)/man5/
	install -m 644 packaging/man/pam_fidokey.8 $(DESTDIR)$(MANDIR)/man8/
	install -m 644 README.md GUIDE.md DESIGN.md SECURITY.md CHANGELOG.md $(LICENSES) $(DESTDIR)$(DOCDIR)/
	install -m 644 packaging/sbom/pam_fidokey.cdx.json packaging/sbom/fidokey.cdx.json $(DESTDIR)$(DOCDIR)/
	install -m 644 pam.d/* $(DESTDIR)$(DOCDIR)/examples/
	install -D -m 644 packaging/completions/fidokey.bash $(DESTDIR)$(SHAREDIR)/bash-completion/completions/fidokey
	install -D -m 644 packaging/completions/_fidokey $(DESTDIR)$(ZSHDIR)/_fidokey
	install -D -m 644 packaging/completions/fidokey.fish $(DESTDIR)$(SHAREDIR)/fish/vendor_completions.d/fidokey.fish
	install -d $(DESTDIR)$(SHAREDIR)/polkit-1/actions
	sed 's#/usr/bin/#$(BINDIR)/#' packaging/polkit/org.fidokey.policy >$(DESTDIR)$(SHAREDIR)/polkit-1/actions/org.fidokey.policy
	chmod 644 $(DESTDIR)$(SHAREDIR)/polkit-1/actions/org.fidokey.policy
	install -D -m 644 packaging/polkit/50-fidokey.rules $(DESTDIR)$(SHAREDIR)/polkit-1/rules.d/50-fidokey.rules
	install -D -m 644 packaging/systemd/50-fidokey.conf \
		$(DESTDIR)$(UNITDIR)/polkit-agent-helper@.service.d/50-fidokey.conf
	for unit in fidokey-revert.service fidokey-revert.timer fidokey-revert-boot.service; do \
		sed 's#/usr/bin/#$(BINDIR)/#' packaging/systemd/$$unit >$(DESTDIR)$(UNITDIR)/$$unit; \
		chmod 644 $(DESTDIR)$(UNITDIR)/$$unit; done
ifeq ($(PAMCONFIGS),yes)
	install -D -m 644 packaging/pam-configs/fidokey $(DESTDIR)$(SHAREDIR)/pam-configs/fidokey
endif
ifeq ($(AUTHSELECT),yes)
	install -d $(DESTDIR)$(SHAREDIR)/authselect/vendor/fidokey
	install -m 644 packaging/authselect/README packaging/authselect/REQUIREMENTS packaging/authselect/nsswitch.conf \
		packaging/authselect/password-auth packaging/authselect/postlogin packaging/authselect/system-auth \
		$(DESTDIR)$(SHAREDIR)/authselect/vendor/fidokey/
endif
ifeq ($(APPARMOR),yes)
	install -D -m 644 packaging/apparmor/fidokey $(DESTDIR)/etc/apparmor.d/abstractions/authentication.d/fidokey
endif

# Refused while a stack names the module: a line whose module is gone denies everybody.
uninstall:
	@packaging/scripts/still-referenced "$(DESTDIR)" >&2 || { \
		echo "These lines deny every login without the module: take them out first." >&2; exit 1; }
	rm -f $(DESTDIR)$(PAMDIR)/pam_fidokey.so $(DESTDIR)$(BINDIR)/fidokey
	rm -f $(DESTDIR)$(MANDIR)/man1/fidokey.1 $(DESTDIR)$(MANDIR)/man8/pam_fidokey.8
	rm -f $(DESTDIR)$(MANDIR)/man5/fidokey.config.5 $(DESTDIR)$(MANDIR)/man5/fidokey.record.5
	rm -f $(DESTDIR)$(SHAREDIR)/bash-completion/completions/fidokey $(DESTDIR)$(ZSHDIR)/_fidokey
	rm -f $(DESTDIR)$(SHAREDIR)/fish/vendor_completions.d/fidokey.fish
	rm -f $(DESTDIR)$(SHAREDIR)/polkit-1/actions/org.fidokey.policy $(DESTDIR)$(SHAREDIR)/polkit-1/rules.d/50-fidokey.rules
	rm -f $(DESTDIR)$(UNITDIR)/polkit-agent-helper@.service.d/50-fidokey.conf
	rm -f $(DESTDIR)$(UNITDIR)/fidokey-revert.service $(DESTDIR)$(UNITDIR)/fidokey-revert.timer
	rm -f $(DESTDIR)$(UNITDIR)/fidokey-revert-boot.service
	rm -rf $(DESTDIR)$(SHAREDIR)/authselect/vendor/fidokey
	rm -f $(DESTDIR)$(SHAREDIR)/pam-configs/fidokey $(DESTDIR)/etc/apparmor.d/abstractions/authentication.d/fidokey
	rm -rf $(DESTDIR)$(DOCDIR)
	@echo "Records and policy stay in $(ETCDIR), counters and times of use in $(STATEDIR)."

clean:
	rm -rf target .cache
