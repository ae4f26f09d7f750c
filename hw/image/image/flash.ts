/**
 * A card's image for boards of the arm64 kind: Debian with the package installed, whole as it is written to a card. Nothing is
 * mounted: file systems are filled from folders. The same sources and the same archive of Debian give the same bytes on one machine;
 * on another the order of the names in a folder, which is that of its file system, may be another.
 */
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { debianRoot, done, openCache, type RootOptions } from './debian-root.ts'
import { runsArm64 } from './emulation.ts'
import { writeExt4 } from './ext4.ts'
import { kernelRelease, makeInitrd } from './initrd.ts'
import { cardTools, missingTools } from './tools.ts'

const PACKAGES = [
  'systemd-sysv',
  'udev',
  'dbus',
  'nodejs',
  'systemd-timesyncd',
  'systemd-resolved',
  'openssh-server',
  'kmod',
  'iproute2',
  'login',
  'passwd',
  'e2fsprogs',
  'less',
  'nano-tiny',
  'ca-certificates',
  'util-linux-extra',
  'netbase',
]

/**
 * The kernel, the boards' firmware and busybox by extraction: their maintainer scripts would make an initrd under emulation, for
 * minutes, and write to a /boot that is none yet.
 */
const EXTRACT = `set -e; root="$1"; mkdir "$root/parts"; cd "$root/parts"; export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
kernel="$(apt-cache depends linux-image-arm64 | sed -n 's/.*Depends: \\(linux-image-[0-9].*\\)/\\1/p')"
apt-get -q download "$kernel:arm64" busybox-static:arm64 raspi-firmware
dpkg-deb -x linux-image-*.deb "$root"
for deb in busybox-*.deb raspi-*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --wildcards './usr/bin/busybox' './usr/lib/raspi-firmware/*' './usr/share/doc/*/copyright' 2> /dev/null || true
done
test -s "$root/usr/bin/busybox"; test -s "$root/usr/lib/raspi-firmware/start4.elf"
cd "$root/usr/lib/modules"/*; rm -rf kernel/sound kernel/drivers/gpu kernel/drivers/media kernel/drivers/infiniband
rm -r "$root/parts"; chroot "$root" depmod "$(basename "$PWD")"`

const cardRoot = (cache: string): RootOptions => ({
  architecture: 'arm64',
  include: PACKAGES,
  components: ['main', 'non-free-firmware'],
  hooks: [EXTRACT],
  skip: ['check/qemu'],
  under: runsArm64(),
  cache,
})

/** In the root, with the package at /tieline.deb. */
const SETTLE = `set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
dpkg -i /tieline.deb
rm /tieline.deb
systemctl enable tieline.service tieline-card.service systemd-networkd.service systemd-resolved.service systemd-timesyncd.service ssh.service
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service systemd-firstboot.service systemd-machine-id-commit.service systemd-pstore.service
echo tieline > /etc/hostname
printf '127.0.0.1 localhost tieline\\n::1 localhost tieline\\n' > /etc/hosts
ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
: > /etc/machine-id
passwd -q -l root
rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id /var/lib/systemd/random-seed /var/lib/systemd/credential.secret
mkdir -p /boot/firmware /etc/credstore /data/tieline /data/etc /data/credstore /data/ssh
cp -a /var/lib/tieline/. /data/tieline
cp -a /var/lib/systemd /data/systemd
chown -R tieline: /data/tieline
chmod 700 /data/tieline /data/credstore /data/ssh
chown root:tieline /data/etc
chmod 770 /data/etc
rm -rf /var/lib/tieline/* /var/cache/ldconfig/* /usr/share/man /usr/share/locale /usr/share/info /usr/share/doc-base /var/cache/apt /var/lib/apt/lists /var/log/*
find /usr/share/doc -type f ! -name copyright ! -path '/usr/share/doc/tieline/*' -delete
mkdir -p /var/cache/apt/archives/partial /var/lib/apt/lists/partial
`

const MIB = 1 << 20
const SECTOR = 512
/** The kernel, its initrd and the firmware take half of it. */
const CARD_MIB = 128
/** An alignment that suits the erase blocks of cards. */
const START_MIB = 4
/** Until the first start gives it the rest of the card. */
const DATA_MIB = 256
/** Fixed, so that the same files give the same file system; a label is what finds it. */
const ROOT_ID = '7d6b1d0e-5a0c-4b8e-9d55-3f3d5c1f7a01'
const DATA_ID = '7d6b1d0e-5a0c-4b8e-9d55-3f3d5c1f7a02'

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))

export interface CardOptions {
  /** The package for arm64. */
  readonly deb: string
  /** Of the image, which is compressed beside it as `.zst`. */
  readonly file: string
  readonly cache: string
  /** Seconds since 1970. */
  readonly at: number
  readonly say: (line: string) => void
}

/** Why this machine and this user cannot make one; undefined where they can. `path` is the variable PATH. */
export function whyNoCard(path: string): string | undefined {
  if (process.getuid?.() !== 0) return 'the image of a card is made by root: its files belong to several users'
  return missingTools(cardTools(), path)
}

/** Throws what a program said that did not end in order; nothing is left behind. */
export async function makeCard({ deb, file, cache, at, say }: CardOptions): Promise<void> {
  openCache(cache)
  const env = { SOURCE_DATE_EPOCH: String(at), E2FSPROGS_FAKE_TIME: String(at), TZ: 'UTC', LC_ALL: 'C.UTF-8' }
  const work = mkdtempSync(join(cache, 'work-'))
  try {
    say('Debian for arm64, from the cache or by mmdebstrap (up to ten minutes where arm64 is emulated)')
    const archive = await debianRoot(cardRoot(cache))
    const [root, data] = [join(work, 'root'), join(work, 'data')]
    mkdirSync(root)
    await done('tar', ['-xpf', archive, '-C', root])
    say('the package, and what belongs to the card')
    cpSync(here('root'), root, { recursive: true })
    cpSync(deb, join(root, 'tieline.deb'))
    // systemd's own tools ask /proc who they are.
    const within = 'mount -t proc proc "$0/proc" && exec chroot "$0" sh -c "$1"'
    const [program, ...args] = [...runsArm64(), 'unshare', '--mount', 'sh', '-c', within, root, SETTLE]
    await done(program!, args, env)
    renameSync(join(root, 'data'), data)
    mkdirSync(join(root, 'data'))
    say('partitions')
    const release = kernelRelease(root)
    const card = join(work, 'card')
    fillCard(card, root, release, at)
    rmSync(join(root, 'boot'), { recursive: true })
    rmSync(join(root, 'usr/lib/raspi-firmware'), { recursive: true })
    mkdirSync(join(root, 'boot/firmware'), { recursive: true })
    await settleTimes(root, data, card, at)
    await writeImage(file, { root, data, card }, join(work, 'times'), at, env)
    say('compressing')
    await done('zstd', ['-q', '-f', '-10', '-T0', file, '-o', `${file}.zst`])
    say(`${file}: ${mb(file)} MB, ${file}.zst: ${mb(`${file}.zst`)} MB`)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

const mb = (file: string) => (statSync(file).size / 1e6).toFixed(0)

/** What the firmware of a Raspberry Pi looks for on the first partition. */
function fillCard(card: string, root: string, release: string, at: number): void {
  cpSync(here('card'), card, { recursive: true })
  const firmware = join(root, 'usr/lib/raspi-firmware')
  for (const name of readdirSync(firmware)) cpSync(join(firmware, name), join(card, name), { recursive: true })
  const trees = join(root, `usr/lib/linux-image-${release}/broadcom`)
  for (const name of readdirSync(trees).filter(entry => /^bcm2(837|711)-rpi-.*\.dtb$/.test(entry))) {
    cpSync(join(trees, name), join(card, name))
  }
  rmSync(join(root, `usr/lib/linux-image-${release}`), { recursive: true })
  cpSync(join(root, `boot/vmlinuz-${release}`), join(card, 'vmlinuz'))
  writeFileSync(join(card, 'initrd.img'), makeInitrd(root, release, at))
}

/** Nothing is younger than the sources. */
async function settleTimes(root: string, data: string, card: string, at: number): Promise<void> {
  const line = `find ${[root, data, card].join(' ')} -newermt @${at} -exec touch -h -d @${at} {} +`
  await done('sh', ['-c', line])
}

interface Trees {
  readonly root: string
  readonly data: string
  readonly card: string
}

async function writeImage(
  file: string,
  { root, data, card }: Trees,
  scratch: string,
  at: number,
  env: Record<string, string>,
): Promise<void> {
  const { stdout } = spawnSync('du', ['-sm', root], { encoding: 'utf8' })
  // A fifth for the file system itself and for what an update of the system needs.
  const rootMib = Math.ceil((Number.parseInt(stdout, 10) * 1.2) / 32) * 32 + 64
  const [rootStart, dataStart] = [START_MIB + CARD_MIB, START_MIB + CARD_MIB + rootMib]
  mkdirSync(join(file, '..'), { recursive: true })
  rmSync(file, { force: true })
  writeFileSync(file, '')
  truncateSync(file, (dataStart + DATA_MIB) * MIB)
  const sectors = (mib: number) => (mib * MIB) / SECTOR
  const table = [
    'label: dos\nlabel-id: 0x7469656c',
    `start=${sectors(START_MIB)}, size=${sectors(CARD_MIB)}, type=c, bootable`,
    `start=${sectors(rootStart)}, size=${sectors(rootMib)}, type=83`,
    `start=${sectors(dataStart)}, size=${sectors(DATA_MIB)}, type=83`,
  ]
  const options = { input: `${table.join('\n')}\n`, encoding: 'utf8' } as const
  const { status, stderr, error } = spawnSync('sfdisk', ['-q', file], options)
  if (status !== 0) throw new Error(`sfdisk: ${error?.message ?? stderr}`)
  const first = `${file}@@${START_MIB}M`
  await done(
    'mformat',
    ['-i', first, '-F', '-T', String(sectors(CARD_MIB)), '-v', 'TIELINE', '-N', '7469656c', '::'],
    env,
  )
  const entries = readdirSync(card).sort()
  await done('mcopy', ['-i', first, '-s', '-m', ...entries.map(name => join(card, name)), '::'], env)
  const [rootPart, dataPart] = [
    { label: 'tieline-root', id: ROOT_ID, startMib: rootStart, sizeMib: rootMib, tree: root },
    { label: 'tieline-data', id: DATA_ID, startMib: dataStart, sizeMib: DATA_MIB, tree: data },
  ]
  await writeExt4(file, scratch, { ...rootPart, at })
  await writeExt4(file, scratch, { ...dataPart, at })
  if (!existsSync(file)) throw new Error(`${file} was not written`)
}
