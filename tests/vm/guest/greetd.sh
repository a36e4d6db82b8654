# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# greetd and a greeter that speaks with it as all greeters do. Only where systemd is.

. /payload/guest/product.sh
cp /usr/share/doc/fidokey/examples/greetd /etc/pam.d/greetd
rm -f /etc/fidokey/users/*.toml
register es256 alice

# One login of alice: what a person would see goes to `shown`, what came of it to `end`.
cat >/usr/local/bin/rig-greeter <<'PERL'
#!/usr/bin/perl
use strict;
use Socket;
# greetd starts its greeter again when a session is over.
exec 'sleep', 'infinity' if -e '/run/greeter/end';
socket(my $greetd, AF_UNIX, SOCK_STREAM, 0) or die $!;
connect($greetd, sockaddr_un($ENV{GREETD_SOCK})) or die $!;
open(my $shown, '>', '/run/greeter/shown') or die $!;
# A message is its length in the machine's order, and JSON.
sub ask {
    my ($request) = @_;
    syswrite($greetd, pack('L', length $request) . $request) or die $!;
    read($greetd, my $length, 4) == 4 or die $!;
    read($greetd, my $answer, unpack('L', $length)) or die $!;
    return $answer;
}
my $answer = ask('{"type":"create_session","username":"alice"}');
while ($answer =~ /"type":"auth_message"/) {
    my ($type) = $answer =~ /"auth_message_type":"(\w+)"/;
    my ($text) = $answer =~ /"auth_message":"([^"]*)"/;
    syswrite($shown, "$type: $text\n");
    my $response = $type eq 'secret' ? ',"response":"secret"' : '';
    $answer = ask(qq({"type":"post_auth_message_response"$response}));
}
$answer = ask('{"type":"start_session","cmd":["/bin/sh","-c","id >/run/greeter/session"],"env":[]}')
    if $answer =~ /"type":"success"/;
open(my $end, '>', '/run/greeter/end') or die $!;
syswrite($end, "$answer\n");
# Where there is a session, it begins once this is over.
exec 'sleep', 'infinity' if $answer !~ /"type":"success"/;
PERL
chmod 755 /usr/local/bin/rig-greeter
cat >/etc/greetd/config.toml <<'TOML'
[terminal]
vt = "none"

[default_session]
command = "/usr/local/bin/rig-greeter"
user = "_greetd"
TOML

# Sets output to what was shown and what came of it.
greetd_login() {
    local until=$((SECONDS + 60))
    last='a login by greetd'
    rm -rf /run/greeter
    mkdir -m 777 /run/greeter
    systemctl restart greetd
    # The session's command is there last.
    until grep -qs error /run/greeter/end || [ -s /run/greeter/session ] || [ $SECONDS -gt $until ]; do sleep 0.1; done
    systemctl stop greetd
    output=$(tail -n +1 /run/greeter/* 2>&1)
}

# greetd hands on the cue as a message of its own, which the greeter has to answer.
given_a_touch_then_greetd_starts_the_session() {
    plug es256
    greetd_login
    expect_output 'secret: Password:'
    expect_output 'info: Touch your security key (greetd).'
    expect_alice
    expect_logged 1 'result=granted code=0 .*user=alice uid=1000 .*service=greetd'
    run key es256 transcript
    expect_count 1 touch
}

given_no_key_then_greetd_starts_no_session() {
    greetd_login
    expect_output 'Timed out waiting for the security key.'
    expect_output '"error_type":"auth_error"'
    expect_holds test ! -e /run/greeter/session
    expect_logged 1 'result=denied code=7 reason=no_key user=alice .*service=greetd'
}
