# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_fidokey_global_optspecs
    string join \n quiet color= no-input timeout= h/help V/version
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

complete -c fidokey -n "__fish_fidokey_needs_command" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_needs_command" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_needs_command" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_needs_command" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_needs_command" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_needs_command" -s V -l version -d 'Print version'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "completions" -d 'Print what completes the command line in a shell'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "disable" -d 'Stop asking for the key in a service: takes the module\'s line out of its PAM stack (root only; needs no key)'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "doctor" -d 'Find what would lock out or weaken a login, each with what mends it (root only)'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "enable" -d 'Ask for the key in a service: puts the module\'s line into its PAM stack (root only)'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "enroll" -d 'Register the key that is touched (root, or self-service)'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "import" -d 'Take over keys that were registered with another program (root only)'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "key" -d 'What concerns the key itself, whoever it belongs to. Plug in that key alone'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "list" -d 'Show the keys of an account'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "remove" -d 'Remove a key of an account (root, or self-service)'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "rename" -d 'Give a key of an account another name (root, or self-service)'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "reset" -d 'Remove all keys of an account, also where its record cannot be read (root only)'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "status" -d 'Show what a service asks of an account, and where each setting comes from'
complete -c fidokey -n "__fish_fidokey_needs_command" -f -a "test" -d 'Come to the decision that a login would come to, the touch included; nobody is logged in'
complete -c fidokey -n "__fish_fidokey_using_subcommand completions" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand completions" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand completions" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand completions" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand completions" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand disable" -l root -d 'The root of another system that is mounted there' -r -F
complete -c fidokey -n "__fish_fidokey_using_subcommand disable" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand disable" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand disable" -l dry-run -d 'Show what would be changed'
complete -c fidokey -n "__fish_fidokey_using_subcommand disable" -l force -d 'Take the line out even where the others would then do something else'
complete -c fidokey -n "__fish_fidokey_using_subcommand disable" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand disable" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand disable" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand doctor" -l root -d 'Look at the system that is mounted there, which does not run [default: this one]' -r -F
complete -c fidokey -n "__fish_fidokey_using_subcommand doctor" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand doctor" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand doctor" -l json -d 'Show a JSON object instead of lines'
complete -c fidokey -n "__fish_fidokey_using_subcommand doctor" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand doctor" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand enable" -l mode -d 'second-factor: the key after the password; alternative: the key instead of it' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand enable" -l user -d 'Who logs in by the new stack [default: who has logged in here]' -r -f -a "(__fish_complete_users)"
complete -c fidokey -n "__fish_fidokey_using_subcommand enable" -l try -d 'Undo it unless somebody logs in by it within this time, 30s to 60m; a restart undoes it as well' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand enable" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand enable" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand enable" -l dry-run -d 'Show what would be changed'
complete -c fidokey -n "__fish_fidokey_using_subcommand enable" -l force -d 'Do not ask for a login, a second key or a way back in: somebody may be locked out'
complete -c fidokey -n "__fish_fidokey_using_subcommand enable" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand enable" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand enable" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand enroll" -l user -d 'The account that the key is for' -r -f -a "(__fish_complete_users)"
complete -c fidokey -n "__fish_fidokey_using_subcommand enroll" -l name -d 'What to call the key [default: the name of its model]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand enroll" -l algorithm -d 'Which algorithm its credential must have [default: es256, or eddsa where the key has no other]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand enroll" -l verification -d 'What a login with it must prove beyond the touch, whatever the policy says: none, or required, which is its PIN or a fingerprint [default: none]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand enroll" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand enroll" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand enroll" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand enroll" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand enroll" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and not __fish_seen_subcommand_from pam-u2f ssh" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and not __fish_seen_subcommand_from pam-u2f ssh" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and not __fish_seen_subcommand_from pam-u2f ssh" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and not __fish_seen_subcommand_from pam-u2f ssh" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and not __fish_seen_subcommand_from pam-u2f ssh" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and not __fish_seen_subcommand_from pam-u2f ssh" -f -a "pam-u2f" -d 'The keys of pam-u2f, from its central file or from that of one account'
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and not __fish_seen_subcommand_from pam-u2f ssh" -f -a "ssh" -d 'Keys of OpenSSH, from the private key files that they were made with'
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from pam-u2f" -l user -d 'Take the lines of this account alone' -r -f -a "(__fish_complete_users)"
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from pam-u2f" -l service -d 'Take what pam_u2f\'s line says from the PAM stack of this service: origin, appid, max_devices and what it has keys prove [default: keys prove what any of its lines asks for]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from pam-u2f" -l origin -d 'What the keys are bound to, as pam_u2f\'s line has it [default: pam://HOSTNAME]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from pam-u2f" -l appid -d 'What the keys of the form before pam-u2f 1.1.0 are bound to, as pam_u2f\'s line has it [default: as --origin]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from pam-u2f" -l protocol -d 'The generation of the protocol that the keys speak: u2f where they speak nothing else, which no file says [default: fido2, or u2f in the form before pam-u2f 1.1.0]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from pam-u2f" -l verification -d 'The least that a login must prove beyond the touch: none, or required, which is the key\'s PIN or a fingerprint; where a file asks for more, that [default: none]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from pam-u2f" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from pam-u2f" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from pam-u2f" -l dry-run -d 'Say what would be done, and do nothing'
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from pam-u2f" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from pam-u2f" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from pam-u2f" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from ssh" -l user -d 'The account that the keys are for' -r -f -a "(__fish_complete_users)"
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from ssh" -l protocol -d 'The generation of the protocol that the keys speak: u2f where they speak nothing else, which no file says [default: fido2, or u2f in the form before pam-u2f 1.1.0]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from ssh" -l verification -d 'The least that a login must prove beyond the touch: none, or required, which is the key\'s PIN or a fingerprint; where a file asks for more, that [default: none]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from ssh" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from ssh" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from ssh" -l dry-run -d 'Say what would be done, and do nothing'
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from ssh" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from ssh" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand import; and __fish_seen_subcommand_from ssh" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and not __fish_seen_subcommand_from credentials fingerprint info pin reset" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and not __fish_seen_subcommand_from credentials fingerprint info pin reset" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and not __fish_seen_subcommand_from credentials fingerprint info pin reset" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and not __fish_seen_subcommand_from credentials fingerprint info pin reset" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and not __fish_seen_subcommand_from credentials fingerprint info pin reset" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and not __fish_seen_subcommand_from credentials fingerprint info pin reset" -f -a "credentials" -d 'The credentials that the key finds by itself (passkeys); needs its PIN'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and not __fish_seen_subcommand_from credentials fingerprint info pin reset" -f -a "fingerprint" -d 'The fingerprints that the key knows; needs its PIN'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and not __fish_seen_subcommand_from credentials fingerprint info pin reset" -f -a "info" -d 'Show what the key says of itself. Nothing is asked of anybody'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and not __fish_seen_subcommand_from credentials fingerprint info pin reset" -f -a "pin" -d 'The key\'s PIN'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and not __fish_seen_subcommand_from credentials fingerprint info pin reset" -f -a "reset" -d 'Delete everything on the key: its PIN, and what it holds for every site and every account'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from credentials" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from credentials" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from credentials" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from credentials" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from credentials" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from credentials" -f -a "list" -d 'List the credentials that the key finds by itself'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from credentials" -f -a "remove" -d 'Remove one of them for ever'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from fingerprint" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from fingerprint" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from fingerprint" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from fingerprint" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from fingerprint" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from fingerprint" -f -a "add" -d 'Have the key learn a fingerprint'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from fingerprint" -f -a "list" -d 'List the fingerprints that the key knows'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from fingerprint" -f -a "remove" -d 'Remove a fingerprint'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from fingerprint" -f -a "rename" -d 'Give a fingerprint another name'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from info" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from info" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from info" -l json -d 'Show a JSON object instead of lines'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from info" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from info" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from info" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from pin" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from pin" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from pin" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from pin" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from pin" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from pin" -f -a "change" -d 'Change the PIN: the present one is asked for once, the new one twice'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from pin" -f -a "check" -d 'Try the PIN once, however few tries are left: the right one gives all of them back'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from pin" -f -a "set" -d 'Give a key its first PIN, which is asked for twice'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from reset" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from reset" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from reset" -l force -d 'Do not ask whether that is meant'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from reset" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from reset" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand key; and __fish_seen_subcommand_from reset" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand list" -l user -d 'The account [default: your own]' -r -f -a "(__fish_complete_users)"
complete -c fidokey -n "__fish_fidokey_using_subcommand list" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand list" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand list" -l json -d 'Show a JSON object instead of a table'
complete -c fidokey -n "__fish_fidokey_using_subcommand list" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand list" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand list" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand remove" -l user -d 'The account' -r -f -a "(__fish_complete_users)"
complete -c fidokey -n "__fish_fidokey_using_subcommand remove" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand remove" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand remove" -l force -d 'Remove the last key as well, even where a service asks for one'
complete -c fidokey -n "__fish_fidokey_using_subcommand remove" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand remove" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand remove" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand rename" -l user -d 'The account' -r -f -a "(__fish_complete_users)"
complete -c fidokey -n "__fish_fidokey_using_subcommand rename" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand rename" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand rename" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand rename" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand rename" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand reset" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand reset" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand reset" -l force -d 'Remove them even where a service asks for one'
complete -c fidokey -n "__fish_fidokey_using_subcommand reset" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand reset" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand reset" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand status" -l user -d 'The account [default: your own]' -r -f -a "(__fish_complete_users)"
complete -c fidokey -n "__fish_fidokey_using_subcommand status" -l service -d 'The PAM service' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand status" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand status" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand status" -l json -d 'Show a JSON object instead of lines'
complete -c fidokey -n "__fish_fidokey_using_subcommand status" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand status" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand status" -s h -l help -d 'Print help'
complete -c fidokey -n "__fish_fidokey_using_subcommand test" -l user -d 'The account [default: your own]' -r -f -a "(__fish_complete_users)"
complete -c fidokey -n "__fish_fidokey_using_subcommand test" -l service -d 'The PAM service that asks' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand test" -l color -d 'When to use colours; auto is on a terminal, unless NO_COLOR is set' -r -f -a "always\t''
auto\t''
never\t''"
complete -c fidokey -n "__fish_fidokey_using_subcommand test" -l timeout -d 'How long to wait for the key and for each touch, 1s to 120s [default: 30s]' -r
complete -c fidokey -n "__fish_fidokey_using_subcommand test" -l json -d 'Show a JSON object instead of a line'
complete -c fidokey -n "__fish_fidokey_using_subcommand test" -l quiet -d 'Say nothing but errors and what is asked, a touch included'
complete -c fidokey -n "__fish_fidokey_using_subcommand test" -l no-input -d 'Ask nothing: where something would have to be typed, end and say what'
complete -c fidokey -n "__fish_fidokey_using_subcommand test" -s h -l help -d 'Print help'
