/**
 * The few calls into the C library that Node does not offer, for Linux; loaded on first use, so that a machine without
 * the binary of the foreign function package loses these calls and nothing else.
 */
import { utf8 } from '../../protocol/bytes.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'

export interface Libc {
  /** ioctl with a pointer to one C int, which the call may read and write; answers the int afterwards. */
  ioctlInt(fd: number, request: number, value: number): Result<number, LibcFault>
  /** ioctl with a pointer to a struct, which the call may read and write in place. */
  ioctlBytes(fd: number, request: number, bytes: Uint8Array): Result<void, LibcFault>
  /** Sets a terminal to pass every byte as it is: no echo, no line editing, no translation (cfmakeraw, tcsetattr). */
  makeRaw(fd: number): Result<void, LibcFault>
  /**
   * Sends one datagram to a Unix socket, a path or, with `@` in front, an abstract name, without waiting: one that does not take it at
   * once is a fault. Node has no datagrams of this kind.
   */
  sendDatagram(to: string, bytes: Uint8Array): Result<void, LibcFault>
  /**
   * Unmaps these bytes of memory that were read from a file and never written to (madvise, MADV_DONTNEED): they stay in the page
   * cache, and whoever touches them has them mapped again. What was written to would be lost.
   */
  unmapClean(address: number, bytes: number): Result<void, LibcFault>
  /** What the kernel says of its wall clock (adjtimex with nothing to adjust, which anyone may). */
  readClock(): Result<KernelClock, LibcFault>
}

/** Of struct timex, linux/timex.h. */
export interface KernelClock {
  /** TIME_OK 0 to TIME_WAIT 4, or TIME_ERROR 5. */
  readonly state: number
  /** STA_ bits. */
  readonly status: number
  /** The kernel's bound on the clock's error, microseconds. */
  readonly maxErrorUs: number
}

export type LibcFault =
  | { readonly code: 'native.address'; readonly address: string }
  | { readonly code: 'native.missing'; readonly reason: string; readonly hint: string }
  | { readonly code: 'native.call'; readonly call: string; readonly errno: number }

/** More than struct termios takes anywhere: 60 bytes in glibc and musl. */
const TERMIOS_BYTES = 256
/** More than struct timex takes anywhere: 208 bytes where a long has eight. */
const TIMEX_BYTES = 512
/** struct sockaddr_un, unix(7): a family of two bytes, then a name of at most 108. */
const AF_UNIX = 1
const SUN_PATH_BYTES = 108
/** SOCK_DGRAM and SOCK_CLOEXEC, MSG_DONTWAIT and MSG_NOSIGNAL, as Linux has them on arm, arm64 and x86. */
const DATAGRAM = 2 | 0o2000000
const AT_ONCE = 0x40 | 0x4000
/** madvise(2). */
const MADV_DONTNEED = 4
/** tcsetattr: change at once. */
const TCSANOW = 0

let loading: Promise<Result<Libc, LibcFault>> | undefined

export function loadLibc(): Promise<Result<Libc, LibcFault>> {
  loading ??= load()
  return loading
}

async function load(): Promise<Result<Libc, LibcFault>> {
  try {
    const { koffi } = await import('./ffi.ts')
    // The running program's own symbols: whichever C library Node was linked with.
    const self = koffi.load(null)
    const ioctl = self.func('int ioctl(int fd, unsigned long request, ...)')
    const tcgetattr = self.func('int tcgetattr(int fd, void *termios)')
    const tcsetattr = self.func('int tcsetattr(int fd, int when, void *termios)')
    const cfmakeraw = self.func('void cfmakeraw(void *termios)')
    const adjtimex = self.func('int adjtimex(void *timex)')
    const socket = self.func('int socket(int family, int kind, int protocol)')
    const sendto = self.func(
      'intptr_t sendto(int fd, void *bytes, uintptr_t count, int flags, void *address, uint32_t addressBytes)',
    )
    const close = self.func('int close(int fd)')
    const madvise = self.func('int madvise(uintptr_t address, uintptr_t bytes, int advice)')
    const longBytes = koffi.sizeof('long')
    const failed = (call: string) => fail<LibcFault>({ code: 'native.call', call, errno: koffi.errno() })
    return ok({
      ioctlInt: (fd, request, value) => {
        const cell = Int32Array.of(value)
        return ioctl(fd, request, 'void *', cell) === -1 ? failed('ioctl') : ok(cell[0]!)
      },
      ioctlBytes: (fd, request, bytes) =>
        ioctl(fd, request, 'void *', bytes) === -1 ? failed('ioctl') : ok(undefined),
      makeRaw: fd => {
        const termios = new Uint8Array(TERMIOS_BYTES)
        if (tcgetattr(fd, termios) === -1) return failed('tcgetattr')
        cfmakeraw(termios)
        return tcsetattr(fd, TCSANOW, termios) === -1 ? failed('tcsetattr') : ok(undefined)
      },
      sendDatagram: (to, bytes) => {
        const address = unixAddress(to)
        if (address === undefined) return fail({ code: 'native.address', address: to })
        const fd: number = socket(AF_UNIX, DATAGRAM, 0)
        if (fd === -1) return failed('socket')
        const sent = Number(sendto(fd, bytes, bytes.length, AT_ONCE, address, address.length))
        const result = sent === -1 ? failed('sendto') : ok(undefined)
        close(fd)
        return result
      },
      unmapClean: (address, bytes) =>
        madvise(address, bytes, MADV_DONTNEED) === -1 ? failed('madvise') : ok(undefined),
      readClock: () => {
        // unsigned modes; long offset, freq, maxerror, esterror; int status: each on a multiple of a long.
        const timex = new ArrayBuffer(TIMEX_BYTES)
        const state: number = adjtimex(new Uint8Array(timex))
        if (state === -1) return failed('adjtimex')
        const maxErrorUs = Number(longBytes === 8 ? new BigInt64Array(timex)[3]! : new Int32Array(timex)[3]!)
        return ok({ state, status: new Int32Array(timex, 5 * longBytes, 1)[0]!, maxErrorUs })
      },
    })
  } catch (error) {
    return fail({
      code: 'native.missing',
      reason: error instanceof Error ? error.message.split('\n')[0]! : String(error),
      hint: 'install the optional packages of koffi for this platform (npm ci without --omit=optional)',
    })
  }
}

/** Abstract names are the bytes that are there; a path ends with a zero. */
function unixAddress(to: string): Uint8Array | undefined {
  const name = utf8(to.startsWith('@') ? `\0${to.slice(1)}` : `${to}\0`)
  if (!/^[@/]/.test(to) || name.length > SUN_PATH_BYTES) return undefined
  const address = new Uint8Array(2 + name.length)
  new Uint16Array(address.buffer, 0, 1)[0] = AF_UNIX
  address.set(name, 2)
  return address
}
