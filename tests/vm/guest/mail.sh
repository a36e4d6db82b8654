# shellcheck shell=bash disable=SC2016,SC2154
# The mail to an account whose keys have changed, by Debian's Postfix, and every way in which a mail system can fail: the change
# is made all the same, and soon. The scenarios go on where the one before has ended.

rm -f /etc/fidokey/users/*.toml
sendmail=/usr/sbin/sendmail
# A command with a mail on an emulated machine, where nothing hangs; what does is given five seconds by the command.
soon=15000
# Nothing in the guest has set up the loopback, on which Postfix listens.
/payload/busybox ifconfig lo 127.0.0.1 up
postfix start 2>/dev/null

# mails N: alice's mailbox has so many, now or soon.
mails() {
    local found until=$((SECONDS + 30))
    while found=$(grep -cs '^From ' /var/mail/alice); [ "${found:-0}" -lt "$1" ] && [ "$SECONDS" -lt "$until" ]; do
        sleep 0.2
    done
    [ "${found:-0}" = "$1" ] || complain "expected $1 mails, found ${found:-0}; $(postqueue -p 2>&1 | head -n 5)"
}

# The headers of the mail that came last, each on one line.
headers() {
    tac /var/mail/alice | sed '/^From [^ ]* /q' | tac |
        awk '/^$/ { exit } /^[ \t]/ { sub(/^[ \t]+/, " "); line = line $0; next } { if (line) print line; line = $0 }
            END { print line }'
}

# expect_header NAME VALUE: it is there once, and that is all of it.
expect_header() {
    local found
    found=$(headers | grep -i "^$1:")
    [ "$found" = "$1: $2" ] || complain "expected the header $1: $2; found: $found"
}

# Of the last subject, as whoever reads the mail sees it.
subject() {
    local word
    for word in $(headers | sed -n 's/^Subject: //p'); do
        word=${word#'=?utf-8?b?'}
        base64 -d <<<"${word%'?='}"
    done
}

# Nothing has come of a mail that should not.
nothing_else() {
    expect_holds test ! -e /var/mail/bob
    expect_holds test ! -e /var/mail/root
    expect_holds grep -q 'Mail queue is empty' <(postqueue -p)
}

given_a_registration_then_the_account_has_one_mail() {
    rm -f /var/mail/*
    plug blue
    run fidokey enroll --user alice --name Blue
    expect_status 0
    expect_no_output_of 'No mail was sent'
    mails 1
    expect_header Subject 'Security key "Blue" added to alice on rig'
    expect_header Auto-Submitted 'auto-generated'
    expect_header Content-Type 'text/plain; charset=utf-8'
    expect_holds test "$(headers | grep -ciE '^(from|to|date|message-id|mime-version|content-transfer-encoding):')" = 6
    expect_holds test "$(headers | grep -ciE '^(cc|bcc|reply-to):')" = 0
    expect_holds grep -qx 'By:    root' /var/mail/alice
    expect_holds grep -qE '^Key:   "Blue" \(cred [0-9a-f]{8}\)$' /var/mail/alice
    expect_holds grep -q '^The account has 1 key now' /var/mail/alice
    nothing_else
}

given_another_name_a_removal_and_a_reset_then_each_has_its_mail() {
    rm -f /var/mail/*
    plug green
    run fidokey enroll --user alice --name Green
    expect_status 0
    mails 1
    expect_holds grep -q '^The account has 2 keys now' /var/mail/alice
    run fidokey rename --user alice Green Red
    expect_status 0
    mails 2
    expect_header Subject 'Security key of alice renamed "Red" on rig'
    expect_holds grep -qx 'Was:   "Green"' /var/mail/alice
    run fidokey remove --user alice Red
    expect_status 0
    mails 3
    expect_header Subject 'Security key "Red" removed from alice on rig'
    run fidokey reset alice
    expect_status 0
    mails 4
    expect_header Subject 'All security keys removed from alice on rig'
    expect_holds grep -q '^The account has no key now' /var/mail/alice
    nothing_else
}

given_a_change_that_is_refused_then_there_is_no_mail() {
    rm -f /var/mail/*
    run fidokey reset alice
    expect_status 1
    expect_holds test ! -e /var/mail/alice
    nothing_else
}

given_names_that_look_like_headers_then_the_reader_sees_the_name() {
    local name before=Blue count=1 emoji
    rm -f /var/mail/*
    emoji=$(printf '🔑%.0s' {1..32})
    plug blue
    run fidokey enroll --user alice --name "$before"
    mails 1
    for name in 'Bcc: bob' '=?utf-8?q?=0ABcc:_bob?=' "$emoji" 'Schlüssel von Bob'; do
        run fidokey rename --user alice "$before" "$name"
        expect_status 0
        count=$((count + 1))
        mails "$count"
        case $name in
            Bcc:*) expect_header Subject "Security key of alice renamed \"$name\" on rig" ;;
            *) expect_holds test "$(subject)" = "Security key of alice renamed \"$name\" on rig" ;;
        esac
        expect_holds test "$(headers | grep -ciE '^(to|subject|from|date):')" = 4
        expect_holds test "$(headers | grep -ciE '^(cc|bcc|x):')" = 0
        before=$name
    done
    expect_holds grep -q "^Key:   \"$emoji\" (cred " /var/mail/alice
    # Two lines in one argument are no name at all.
    run fidokey rename --user alice "$before" $'Blue\nBcc: bob'
    expect_status 2
    run fidokey rename --user alice "$before" Blue
    mails "$((count + 1))"
    nothing_else
}

given_an_account_whose_name_is_an_address_elsewhere_then_nothing_is_sent_there() {
    local name
    rm -f /var/mail/*
    plug green
    for name in 'bob@localhost' '|touch' '"bob"'; do
        printf '%s:x:1002:1002::/:/bin/sh\n' "$name" >>/etc/passwd
        run fidokey enroll --user "$name" --name Green
        expect_status 0
        expect_output "No mail was sent to $name: that is not a name that local mail can go to."
        run fidokey reset "$name"
        expect_status 0
        sed -i '$d' /etc/passwd
    done
    nothing_else
    expect_holds test ! -e /var/mail/alice
}

given_a_mail_server_that_is_stopped_then_the_mail_comes_when_it_runs() {
    rm -f /var/mail/*
    postfix stop 2>/dev/null
    run fidokey rename --user alice Blue Later
    expect_status 0
    expect_output 'Renamed "Blue" of alice to "Later".'
    expect_between 0 "$soon"
    expect_holds test ! -e /var/mail/alice
    expect_holds grep -q ' renamed=.* key=Later ' /run/syslog
    postfix start 2>/dev/null
    mails 1
    expect_header Subject 'Security key of alice renamed "Later" on rig'
}

given_a_mail_server_that_is_misconfigured_then_that_is_said_and_the_change_is_made() {
    rm -f /var/mail/*
    mv /etc/postfix/main.cf /run/main.cf
    run fidokey rename --user alice Later Blue
    mv /run/main.cf /etc/postfix/main.cf
    expect_status 0
    expect_output 'Renamed "Later" of alice to "Blue".'
    expect_output 'No mail was sent to alice: sendmail ended with status 75.'
    expect_between 0 "$soon"
    expect_holds test ! -e /var/mail/alice
}

given_a_mail_system_that_hangs_then_it_is_left_no_more_than_five_seconds() {
    mv $sendmail /run/sendmail
    printf '#!/bin/sh\ntrap "" TERM\nsleep 4321 &\nsleep 4321\n' >$sendmail
    chmod 755 $sendmail
    run fidokey rename --user alice Blue Hung
    expect_status 0
    expect_output 'Renamed "Blue" of alice to "Hung".'
    expect_output 'No mail was sent to alice: the mail system did not answer within 5s.'
    expect_between 5000 "$soon"
    # Nothing of it is left behind.
    expect_holds test -z "$(grep -ls '4[3]21' /proc/[0-9]*/cmdline)"
    rm $sendmail
    mv /run/sendmail $sendmail
}

given_an_interrupt_while_the_mail_system_works_then_the_mail_comes_all_the_same() {
    rm -f /var/mail/*
    mv $sendmail /run/sendmail
    printf '#!/bin/sh\nsleep 3\nexec /run/sendmail "$@"\n' >$sendmail
    chmod 755 $sendmail
    type_at root 'fidokey rename --user alice Hung Stopped' 'Renamed ' 'printf "\003"'
    expect_status 130
    mails 1
    expect_header Subject 'Security key of alice renamed "Stopped" on rig'
    mv /run/sendmail $sendmail
    run fidokey rename --user alice Stopped Hung
    mails 2
}

given_a_mail_system_that_others_could_change_then_it_is_not_run() {
    rm -f /var/mail/*
    chmod o+w $sendmail
    run fidokey rename --user alice Hung Blue
    chmod o-w $sendmail
    expect_status 0
    expect_output "No mail was sent to alice: $sendmail could be changed by others than root."
    expect_holds test ! -e /var/mail/alice
}

given_no_mail_system_then_that_is_said_in_one_line() {
    mv $sendmail /run/sendmail
    run fidokey rename --user alice Blue Green
    mv /run/sendmail $sendmail
    expect_status 0
    expect_count 1 'mail'
    expect_output 'No mail was sent to alice: this machine has no sendmail.'
    expect_between 0 "$soon"
    nothing_else
    postfix stop 2>/dev/null
}
