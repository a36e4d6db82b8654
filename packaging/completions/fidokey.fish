# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_fidokey_global_optspecs
    string join \n h/help V/version
end

function __fish_fidokey_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_fidokey_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_fidokey_using_subcommand
    set -l cmd (__fish_fidokey_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c fidokey -n "__fish_fidokey_needs_command" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_needs_command" -s V -l version -d 'Print version'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "disable" -d 'Stop asking for the key in a service: takes the module\'s line out of its PAM stack (root only; needs no key)'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "doctor" -d 'Find what would lock out or weaken a login, each with what mends it (root only)'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "enable" -d 'Ask for the key in a service: puts the module\'s line into its PAM stack (root only)'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "enroll" -d 'Register the key that is touched (root only)'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "key" -d 'What concerns the key itself, whoever it belongs to'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "list" -d 'Show the keys of an account'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "test" -d 'Come to the decision that a login would come to, the touch included; nobody is logged in'
complete -c fidokey -n "__fish_fidokey_using_subcommand disable" -l root -d 'The root of another system that is mounted there' -r -F
complete -c fidokey -n "__fish_fidokey_using_subcommand disable" -l dry-run -d 'Show what would be changed'
complete -c fidokey -n "__fish_fidokey_using_subcommand disable" -l force -d 'Take the line out even where the others would then do something else'
complete -c fidokey -n "__fish_fidokey_using_subcommand disable" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand doctor" -l root -d 'Look at the system that is mounted there, which does not run [default: this one]' -r -F
complete -c fidokey -n "__fish_fidokey_using_subcommand doctor" -l json -d 'Show a JSON object instead of lines'
complete -c fidokey -n "__fish_fidokey_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand enable" -l mode -d 'second-factor: the key after the password; alternative: the key instead of it' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand enable" -l user -d 'Who logs in by the new stack [default: who has logged in here]' -r -f -a "(__fish_complete_users)"
complete -c fidokey -n "__fish_fidokey_using_subcommand enable" -l try -d 'Undo it unless somebody logs in by it within this time, 30s to 60m; a restart undoes it as well' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand enable" -l dry-run -d 'Show what would be changed'
complete -c fidokey -n "__fish_fidokey_using_subcommand enable" -l force -d 'Do not ask for a login, a second key or a way back in: somebody may be locked out'
complete -c fidokey -n "__fish_fidokey_using_subcommand enable" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand enroll" -l user -d 'The account that the key is for' -r -f -a "(__fish_complete_users)"
complete -c fidokey -n "__fish_fidokey_using_subcommand enroll" -l name -d 'What to call the key [default: the first of "Key 1", "Key 2", ... that is free]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand enroll" -l algorithm -d 'Which algorithm its credential must have [default: es256, or eddsa where the key has no other]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand enroll" -l verification -d 'What a login with it must prove beyond the touch, whatever the policy says: none, or required, which is its PIN or a fingerprint [default: none]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand enroll" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and not __fish_seen_subcommand_from pin" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and not __fish_seen_subcommand_from pin" -f -a "pin" -d 'The key\'s PIN'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from pin" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from pin" -f -a "check" -d 'Try the PIN once, however few tries are left: the right one gives all of them back'
complete -c fidokey -n "__fish_fidokey_using_subcommand list" -l user -d 'The account [default: your own]' -r -f -a "(__fish_complete_users)"
complete -c fidokey -n "__fish_fidokey_using_subcommand list" -l json -d 'Show an array of JSON objects instead of a table'
complete -c fidokey -n "__fish_fidokey_using_subcommand list" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand test" -l user -d 'The account [default: your own]' -r -f -a "(__fish_complete_users)"
complete -c fidokey -n "__fish_fidokey_using_subcommand test" -l service -d 'The PAM service that asks' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand test" -s h -l help -d 'Print help'
