/** Programs of another processor, run by qemu as if they were this one's: registered with the kernel for as long as one command runs. */
import { readdirSync, readFileSync } from 'node:fs'

/** An ELF file of 64 bit, little-endian, for AArch64 (183); and which of its bytes count. As qemu's own registration has it. */
const MAGIC = '\\x7f\\x45\\x4c\\x46\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00'
const MASK = '\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff'
const NAME = 'tieline-aarch64'
const REGISTRY = '/proc/sys/fs/binfmt_misc'

/** Opened at the registration (F), so that it is found from within a chroot, too. */
const UNDER = `
set -e
mount --make-rprivate /
[ -e ${REGISTRY}/register ] || mount -t binfmt_misc binfmt_misc ${REGISTRY}
[ ! -e ${REGISTRY}/${NAME} ] || echo -1 > ${REGISTRY}/${NAME}
printf %s ':${NAME}:M::${MAGIC}:${MASK}:/usr/bin/qemu-aarch64-static:F' > ${REGISTRY}/register
trap 'echo -1 > ${REGISTRY}/${NAME}' EXIT
"$@"
`

/** What goes before a command line. Nothing on a machine that runs arm64 by itself, or is set up to. */
export function runsArm64(): readonly string[] {
  if (process.arch === 'arm64' || registered()) return []
  return ['unshare', '--mount', 'sh', '-c', UNDER, 'sh']
}

function registered(): boolean {
  try {
    return readdirSync(REGISTRY).some(
      entry =>
        /aarch64/.test(entry) && /^enabled[\s\S]*^flags: .*F/m.test(readFileSync(`${REGISTRY}/${entry}`, 'utf8')),
    )
  } catch {
    return false
  }
}
