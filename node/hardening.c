/* Process hardening (hardening.h).
 *
 * The system-call filter is a deny list: SQLite, OpenSSL, NNG and libc differ in what they use from version to version,
 * and a node that a library update kills protects no key. Denied is what a node never does: running programs, looking
 * into other processes, loading code into the kernel, mounting, kernel key rings. Denied calls fail with EPERM. */
#include "hardening.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "observe/log.h"

static const char *const DENIED[] = {
    /* running programs */
    "execve",
    "execveat",
    "fork",
    "vfork",
    "uselib",
    /* other processes */
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "pidfd_getfd",
    "pidfd_open",
    "kcmp",
    "perf_event_open",
    "userfaultfd",
    "lookup_dcookie",
    /* the kernel */
    "init_module",
    "finit_module",
    "delete_module",
    "create_module",
    "kexec_load",
    "kexec_file_load",
    "bpf",
    "reboot",
    "iopl",
    "ioperm",
    "syslog",
    "acct",
    "swapon",
    "swapoff",
    "nfsservctl",
    "quotactl",
    "quotactl_fd",
    /* file systems and namespaces */
    "mount",
    "umount",
    "umount2",
    "pivot_root",
    "chroot",
    "unshare",
    "setns",
    "open_tree",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "name_to_handle_at",
    "open_by_handle_at",
    "mknod",
    "mknodat",
    /* kernel key rings, other interfaces with a history of holes */
    "add_key",
    "request_key",
    "keyctl",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "vmsplice",
    "personality",
    "modify_ldt",
    /* who we are, and the clock */
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setgroups",
    "setfsuid",
    "setfsgid",
    "capset",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "stime",
    "sethostname",
    "setdomainname",
};

/** The state folder of a fresh node is made while we may, for the user that will own it. */
static status_code make_state_folder(const struct node_config *config, const struct passwd *user)
{
    if (mkdir(config->state_folder, 0700) != 0) {
        CHECK(errno == EEXIST, STATUS_CONFIG_INVALID, "state-folder %s cannot be made: %s", config->state_folder,
              strerror(errno));
        return STATUS_OK;
    }
    CHECK(chown(config->state_folder, user->pw_uid, user->pw_gid) == 0, STATUS_CONFIG_INVALID,
          "state-folder %s cannot be given to %s: %s", config->state_folder, config->run_as, strerror(errno));
    return STATUS_OK;
}

/** Only root may, so before it is given up; harmless otherwise. */
static void raise_memory_limit(void)
{
    const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

status_code hardening_drop_privileges(const struct node_config *config)
{
    if (!config->run_as[0])
        return STATUS_OK;
    errno = 0;
    const struct passwd *user = getpwnam(config->run_as);
    CHECK(user, STATUS_CONFIG_INVALID, "run-as: there is no user %s", config->run_as);
    if (geteuid() == user->pw_uid)
        return STATUS_OK;
    CHECK(geteuid() == 0, STATUS_CONFIG_INVALID, "run-as: only root can become %s", config->run_as);

    raise_memory_limit();
    TRY(make_state_folder(config, user));
    CHECK(initgroups(config->run_as, user->pw_gid) == 0 && setgid(user->pw_gid) == 0 && setuid(user->pw_uid) == 0,
          STATUS_CONFIG_INVALID, "run-as: cannot become %s: %s", config->run_as, strerror(errno));
    CHECK(setuid(0) != 0, STATUS_INTERNAL, "run-as: root was not given up");
    return STATUS_OK;
}

/** Locks all memory, as it comes into use. Only without a limit: with one, an allocation would fail once it is reached.
 */
static void lock_memory(void)
{
    struct rlimit limit = {0, 0};
    raise_memory_limit();
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (limit.rlim_cur == RLIM_INFINITY && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0)
        return;
    log_event(LOG_LEVEL_WARNING, "memory not locked", "reason", "RLIMIT_MEMLOCK", "hint",
              "set LimitMEMLOCK=infinity, or encrypt swap; the heap of secrets is locked on its own", NULL);
}

static status_code deny_system_calls(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < sizeof DENIED / sizeof DENIED[0]; i++) {
        int number = seccomp_syscall_resolve_name(DENIED[i]);
        if (number == __NR_SCMP_ERROR) /* of another architecture, or newer than this library */
            continue;
        int code = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
        CHECK(code == 0 || code == -EDOM, STATUS_CONFIG_INVALID, "hardening: %s cannot be denied: %s", DENIED[i],
              strerror(-code));
    }
    int code = seccomp_load(filter);
    CHECK(code == 0, STATUS_CONFIG_INVALID,
          "hardening: the system-call filter cannot be installed: %s; `hardening: false` goes without",
          strerror(-code));
    return STATUS_OK;
}

static status_code filter_system_calls(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    CHECK(filter, STATUS_OUT_OF_MEMORY, "hardening: no memory for a system-call filter");
    status_code code = deny_system_calls(filter);
    seccomp_release(filter);
    return code;
}

status_code hardening_apply(const struct node_config *config)
{
    const struct rlimit none = {0, 0};
    if (!config->hardening) {
        log_event(LOG_LEVEL_WARNING, "hardening is off", NULL);
        return STATUS_OK;
    }
    CHECK(prctl(PR_SET_DUMPABLE, 0) == 0 && setrlimit(RLIMIT_CORE, &none) == 0, STATUS_CONFIG_INVALID,
          "hardening: core files cannot be switched off: %s", strerror(errno));
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, STATUS_CONFIG_INVALID,
          "hardening: new privileges cannot be given up: %s", strerror(errno));
    lock_memory();
    return filter_system_calls();
}
