/**
 * The few calls into the C library that Node does not offer, for Linux; loaded on first use, so that a machine without
 * the binary of the foreign function package loses these calls and nothing else.
 */
import { fail, ok, type Result } from '../../protocol/result.ts'

export interface Libc {
  /** ioctl with a pointer to one C int, which the call may read and write; answers the int afterwards. */
  ioctlInt(fd: number, request: number, value: number): Result<number, LibcFault>
  /** ioctl with a pointer to a struct, which the call may read and write in place. */
  ioctlBytes(fd: number, request: number, bytes: Uint8Array): Result<void, LibcFault>
  /** Sets a terminal to pass every byte as it is: no echo, no line editing, no translation (cfmakeraw, tcsetattr). */
  makeRaw(fd: number): Result<void, LibcFault>
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
  | { readonly code: 'native.missing'; readonly reason: string; readonly hint: string }
  | { readonly code: 'native.call'; readonly call: string; readonly errno: number }

/** More than struct termios takes anywhere: 60 bytes in glibc and musl. */
const TERMIOS_BYTES = 256
/** More than struct timex takes anywhere: 208 bytes where a long has eight. */
const TIMEX_BYTES = 512
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
