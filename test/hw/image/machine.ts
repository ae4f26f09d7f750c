/**
 * A Debian of its own for a test, in namespaces of this kernel: its programs in a chroot, or started by its own systemd as the
 * first process. The network is this machine's.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const PATH = '/usr/sbin:/usr/bin:/sbin:/bin'

export interface Said {
  readonly status: number | null
  readonly out: string
  readonly err: string
}

const MOUNTS = `
mount --make-rprivate /
mount --bind "$R" "$R"
cd "$R"
mount -t proc proc proc
mount -t tmpfs -o mode=755 dev dev
for d in null zero full random urandom tty; do : > dev/$d; mount --bind /dev/$d dev/$d; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
`
/** Kernel settings belong to the whole machine: read only, as systemd-nspawn has them. */
const FENCE = `
mount --bind proc/sys proc/sys
mount -o remount,ro,bind proc/sys
`
const BOOT = `
set -e
${MOUNTS}
${FENCE}
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t cgroup2 cgroup2 sys/fs/cgroup
mkdir -p mnt/old
pivot_root . mnt/old
cd /
umount -l /mnt/old
mount --make-rshared /
exec env -i PATH=${PATH} container=test LC_ALL=C.UTF-8 /usr/lib/systemd/systemd
`
const NAMESPACES = ['--mount', '--pid', '--uts', '--ipc', '--fork', '--kill-child']

/** \`script\` for sh, in a chroot; what it starts ends with it. */
export function inRoot(root: string, script: string): Said {
  const line = `set -e; ${MOUNTS} ${FENCE} exec env -i PATH=${PATH} LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive HOME=/root chroot . sh -ec "$S"`
  const env = { ...process.env, R: root, S: script }
  const { status, stdout, stderr } = spawnSync('unshare', [...NAMESPACES, 'sh', '-c', line], { encoding: 'utf8', env })
  return { status, out: stdout, err: stderr }
}

/** A program of the root as a child, for a test that talks to it. */
export function startInRoot(root: string, script: string): ChildProcess {
  const line = `set -e; ${MOUNTS} ${FENCE} exec env -i PATH=${PATH} LC_ALL=C.UTF-8 HOME=/root chroot . sh -ec "$S"`
  return spawn('unshare', [...NAMESPACES, 'sh', '-c', line], {
    env: { ...process.env, R: root, S: script },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

export interface Machine {
  sh(script: string): Said
  /** At once, like its power. */
  off(): Promise<void>
}

function childOf(parent: number): string | undefined {
  return readdirSync('/proc').find(entry => {
    try {
      return (
        /^\d+$/.test(entry) && new RegExp(`^PPid:\t${parent}$`, 'm').test(readFileSync(`/proc/${entry}/status`, 'utf8'))
      )
    } catch {
      return false
    }
  })
}

/** What was said where this kernel does not let systemd run in a namespace. */
export async function bootRoot(root: string): Promise<Machine | string> {
  mkdirSync(join(root, 'mnt/old'), { recursive: true })
  const child = spawn('unshare', [...NAMESPACES, '--cgroup', 'sh', '-c', BOOT], {
    env: { ...process.env, R: root },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let talk = ''
  child.stderr.on('data', text => {
    talk += text
  })
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  const off = async () => {
    child.kill('SIGKILL')
    await ended
    rmSync(join(root, 'mnt/old'), { recursive: true, force: true })
  }
  const sh = (script: string): Said => {
    const first = childOf(child.pid!)
    if (first === undefined) return { status: null, out: '', err: talk }
    const into = ['--target', first, '--mount', '--pid', '--uts', '--ipc', '--cgroup', '--root', '--wd=/']
    const line = ['env', '-i', `PATH=${PATH}`, 'LC_ALL=C.UTF-8', 'DEBIAN_FRONTEND=noninteractive', 'HOME=/root']
    const options = { encoding: 'utf8', timeout: 300_000, cwd: '/' } as const
    const { status, stdout, stderr } = spawnSync('nsenter', [...into, ...line, 'sh', '-ec', script], options)
    return { status, out: stdout, err: stderr }
  }
  // `--wait` comes back as soon as systemd has done its start, well or not; before that nobody listens.
  for (let left = 400; left > 0 && child.exitCode === null; left--) {
    const { out } = sh('systemctl is-system-running --wait || true')
    if (/running|degraded/.test(out)) return { sh, off }
    await new Promise(resolve => setTimeout(resolve, 300))
  }
  const said = `${talk}${sh('systemctl list-jobs').out}`
  await off()
  return said
}
