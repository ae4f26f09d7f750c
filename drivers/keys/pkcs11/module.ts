/**
 * The shared library of a token's maker, called through its CK_FUNCTION_LIST.
 *
 * On Linux every field and argument that we use is one machine word: CK_ULONG is `unsigned long`, as wide as a pointer on
 * 32 and 64 bits, and structs have their natural alignment (PKCS#11 v2.40 section 2.1; only Windows packs them). So one
 * kind of call is enough. Memory that a call sees belongs to an ArrayBuffer, which does not move, and which the caller holds
 * until the call has come back.
 *
 * Calls run on threads of their own, because a token may take seconds and the control loop may not wait.
 */
import { fail, ok, type Result } from '../../../protocol/result.ts'
import { CKF_OS_LOCKING_OK, CKR_CRYPTOKI_ALREADY_INITIALIZED, CKR_OK, FUNCTION, nameOf } from './codes.ts'

export type ModuleFault =
  | { readonly code: 'native.missing'; readonly reason: string; readonly hint: string }
  | { readonly code: 'keys.module'; readonly module: string; readonly why: string; readonly hint: string }

type Word = number | bigint

export interface Pkcs11Module {
  /** Bytes of a word: of CK_ULONG and of a pointer. */
  readonly wordBytes: number
  /** The return value, CKR_OK or another. */
  call(name: keyof typeof FUNCTION, ...args: readonly Word[]): Promise<number>
  /** Memory for one round of calls; `more` bytes beyond what the calls themselves take. */
  memory(more?: number): Memory
}

/** What calls read and write. To be wiped once they have come back, which also keeps it from being collected before. */
export interface Memory {
  /** A copy of these bytes. */
  put(bytes: Uint8Array): bigint
  /** These words one after another: a struct, or a list. */
  words(...words: readonly Word[]): Room
  /** Zeros for a call to write into. */
  room(bytes: number): Room
  wipe(): void
}

export interface Room {
  readonly address: bigint
  readonly bytes: Uint8Array
  /** The word at a place, counted in words: a handle, a length, an address. */
  word(place?: number): number
}

/** The largest round of calls is a generated pair: two templates of nine attributes and their values. */
const MEMORY_BYTES = 4096
/** CK_FUNCTION_LIST of v2.40: the version, in a word of its own, and 68 functions. */
const LIST_WORDS = 69

/** Libraries whose handles are collected are unloaded, and the next call would run into nothing. */
const held: unknown[] = []
const loaded = new Map<string, Promise<Result<Pkcs11Module, ModuleFault>>>()

/** Loads and initialises a module, once for this process: Cryptoki counts a process as one application. */
export function loadModule(file: string): Promise<Result<Pkcs11Module, ModuleFault>> {
  const known = loaded.get(file)
  if (known !== undefined) return known
  const loading = load(file).then(module => {
    // A file that is put in place later is looked for again.
    if (!module.ok) loaded.delete(file)
    return module
  })
  loaded.set(file, loading)
  return loading
}

async function load(file: string): Promise<Result<Pkcs11Module, ModuleFault>> {
  const broken = (why: string) =>
    fail({ code: 'keys.module', module: file, why, hint: "name the token maker's PKCS#11 library" } as const)
  let native: typeof import('../../native/ffi.ts')
  try {
    native = await import('../../native/ffi.ts')
  } catch (error) {
    return fail({
      code: 'native.missing',
      reason: error instanceof Error ? error.message.split('\n')[0]! : String(error),
      hint: 'install the optional packages of koffi for this platform (npm ci without --omit=optional)',
    })
  }
  const { koffi } = native
  const wordBytes = koffi.sizeof('uintptr_t')
  const memory = (more = 0) => newMemory(MEMORY_BYTES + more, wordBytes, bytes => koffi.address(bytes))
  let functions: readonly Word[]
  try {
    const library = koffi.load(file)
    held.push(library)
    const getFunctionList = library.func('C_GetFunctionList', 'uintptr_t', ['uintptr_t'])
    const list = memory().room(wordBytes)
    const rv = Number(getFunctionList(list.address))
    if (rv !== CKR_OK) return broken(`C_GetFunctionList answers ${nameOf(rv)}`)
    const words = koffi.decode(BigInt(list.word()), koffi.array('uintptr_t', LIST_WORDS)) as Word[]
    functions = words.slice(1)
  } catch (error) {
    // koffi says by throwing that there is no such file, that it is no library, or that it has no such function.
    return broken(error instanceof Error ? error.message.split('\n')[0]! : String(error))
  }
  const callables = new Map<string, (...args: unknown[]) => void>()

  function callable(name: keyof typeof FUNCTION, args: number): (...args: unknown[]) => void {
    let found = callables.get(name)
    if (found === undefined) {
      const form = koffi.proto('uintptr_t', new Array<string>(args).fill('uintptr_t'))
      found = koffi.decode(BigInt(functions[FUNCTION[name]]!), form).async as (...args: unknown[]) => void
      callables.set(name, found)
    }
    return found
  }

  const module: Pkcs11Module = {
    wordBytes,
    memory,
    call: (name, ...args) =>
      new Promise((resolve, reject) => {
        callable(name, args.length)(...args, (error: unknown, rv: Word) =>
          error === null ? resolve(Number(rv)) : reject(error),
        )
      }),
  }
  const round = memory()
  // CK_C_INITIALIZE_ARGS: no mutexes of ours, threads by the system's own locks.
  const rv = await module.call('initialize', round.words(0, 0, 0, 0, CKF_OS_LOCKING_OK, 0).address)
  round.wipe()
  return rv === CKR_OK || rv === CKR_CRYPTOKI_ALREADY_INITIALIZED
    ? ok(module)
    : broken(`C_Initialize answers ${nameOf(rv)}`)
}

function newMemory(size: number, wordBytes: number, addressOf: (bytes: Uint8Array) => bigint): Memory {
  const all = new Uint8Array(new ArrayBuffer(size))
  let used = 0

  function room(bytes: number): Room {
    const from = used
    used += Math.ceil(bytes / 8) * 8
    if (used > size) throw new RangeError(`a call needs more than ${size} bytes`)
    const mine = all.subarray(from, from + bytes)
    return {
      address: BigInt(addressOf(all)) + BigInt(from),
      bytes: mine,
      word: (place = 0) => Number(wordsOf(mine)[place]!),
    }
  }

  /** Words in this machine's own byte order. */
  const wordsOf = (bytes: Uint8Array): BigUint64Array | Uint32Array =>
    wordBytes === 8
      ? new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8)
      : new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)

  return {
    room,
    put: bytes => {
      const at = room(bytes.length)
      at.bytes.set(bytes)
      return at.address
    },
    words: (...words) => {
      const at = room(words.length * wordBytes)
      const cells = wordsOf(at.bytes)
      for (const [place, word] of words.entries()) cells[place] = wordBytes === 8 ? BigInt(word) : Number(word)
      return at
    },
    wipe: () => void all.fill(0),
  }
}
