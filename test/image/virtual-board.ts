/** A board that is none: the card's image in qemu's `virt` machine of arm64, every instruction emulated. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createWriteStream, readFileSync } from 'node:fs'

export const WATCHDOG_S = 240
/** Time limits of systemd itself, for the same reason. */
const PATIENCE = 'systemd.default_device_timeout_sec=900 systemd.default_timeout_start_sec=900'

export interface BoardOptions {
  /** A raw image. It is written to. */
  readonly card: string
  readonly kernel: string
  readonly initrd: string
  /** Ports of this machine and the guest's behind them. */
  readonly ports: readonly (readonly [host: number, guest: number])[]
  /** What its console says. */
  readonly console: string
}

export interface VirtualBoard {
  /** The last line of the console. */
  last(): string
  running(): boolean
  /** SIGKILL: what the guest had not handed to its disk is gone. */
  cutPower(): Promise<void>
}

export function switchOn({ card, kernel, initrd, ports, console: log }: BoardOptions): VirtualBoard {
  const forwards = ports.map(([host, guest]) => `,hostfwd=tcp:127.0.0.1:${host}-:${guest}`).join('')
  const child: ChildProcess = spawn(
    'qemu-system-aarch64',
    [
      ...['-M', 'virt', '-cpu', 'cortex-a72', '-smp', '2', '-m', '1024', '-nographic', '-no-reboot'],
      ...['-kernel', kernel, '-initrd', initrd],
      // A board's 14 s would be those of a machine that an emulated board has to share.
      ...[
        '-append',
        `console=ttyAMA0 root=LABEL=tieline-root ro panic=10 systemd.watchdog_sec=${WATCHDOG_S} ${PATIENCE}`,
      ],
      ...['-drive', `file=${card},if=none,format=raw,id=card`, '-device', 'virtio-blk-pci,drive=card'],
      ...['-netdev', `user,id=lan${forwards}`, '-device', 'virtio-net-pci,netdev=lan'],
      ...['-device', 'i6300esb', '-device', 'virtio-rng-pci'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const file = createWriteStream(log, { flags: 'a' })
  child.stdout!.pipe(file)
  child.stderr!.pipe(file)
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  return {
    last: () => lastLine(readFileSync(log, 'utf8')),
    running: () => child.exitCode === null && child.signalCode === null,
    cutPower: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

function lastLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the console's colours
  const plain = text.replace(/\u001b\[[0-9;?]*[a-zA-Z]/g, '')
  return (
    plain
      .trim()
      .split(/[\r\n]+/)
      .at(-1)
      ?.slice(0, 100) ?? ''
  )
}

/** A file of the card's first partition. */
export function fromCard(card: string, name: string, to: string): void {
  mtools('mcopy', ['-n', '-i', `${card}@@4M`, `::${name}`, to])
}

export function ontoCard(card: string, file: string, name: string): void {
  mtools('mcopy', ['-o', '-i', `${card}@@4M`, file, `::${name}`])
}

export const folderOnCard = (card: string, name: string): void => mtools('mmd', ['-i', `${card}@@4M`, `::${name}`])

function mtools(program: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ${args.at(-1)}: ${error?.message ?? stderr}`)
}
