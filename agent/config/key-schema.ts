/** The form of `keys`: where each of a site's private keys is kept. */
import { fail, ok, type Result } from '../../protocol/result.ts'
import * as forms from './literal-forms.ts'
import * as literals from './literals.ts'
import { issueOf, type SchemaIssue } from './schema-issue.ts'
import { about, filled, group, path, scalar, set, spelt, v } from './schema-words.ts'
import type { KeyPlace, KeySource } from './site-config.ts'
import { readYaml } from './yaml.ts'

/** CK_TOKEN_INFO has 32 bytes for it (PKCS#11 v2.40 section 3.3). */
const tokenLabel = spelt(/^[\x20-\x7e]{1,32}$/, "a token's label: at most 32 letters")

const pkcs11 = v.pipe(
  group({
    module: about('The shared library of the token’s maker.', path),
    token: about('The token’s label.', tokenLabel),
    key: about('The key’s label.', filled("a key's label")),
    pin_file: about('File of the PIN.', path),
  }),
  v.transform(({ pin_file, ...rest }): KeyPlace => ({ kind: 'pkcs11', ...rest, pinFile: pin_file })),
)

/** TPM 2.0 Part 2, "Owner persistent handles"; the upper half is the platform's. */
const tpmHandle = scalar(
  text => (/^0x81[0-7][0-9a-fA-F]{5}$/.test(text) ? Number(text) : undefined),
  'a handle from 0x81000000 to 0x817fffff',
  { type: ['string', 'integer'], pattern: '^0x81[0-7][0-9a-fA-F]{5}$', minimum: 0x81000000, maximum: 0x817fffff },
)

const tpm = v.pipe(
  group({
    device: about('The TPM.', v.optional(path, '/dev/tpmrm0')),
    handle: about('Where the key persists in it.', tpmHandle),
    auth_file: about('File of the key’s authorization value.', path),
  }),
  v.transform(({ auth_file, ...rest }): KeyPlace => ({ kind: 'tpm', ...rest, authFile: auth_file })),
)

const store = v.pipe(
  group({
    pkcs11: about('A key in a smart card or HSM.', v.optional(pkcs11)),
    tpm: about('A key in a TPM 2.0.', v.optional(tpm)),
  }),
  v.check(it => (it.pkcs11 === undefined) !== (it.tpm === undefined), 'must name one store: pkcs11 or tpm'),
  v.transform(it => (it.pkcs11 ?? it.tpm)!),
)
const file = v.pipe(
  path,
  v.transform((file): KeyPlace => ({ kind: 'file', file })),
)

/** A sealed file by its path alone, or a store by its name. */
const place = v.lazy((value): v.GenericSchema<unknown, KeyPlace> => (typeof value === 'object' ? store : file))

/** A place written as in the configuration, or what is wrong with it. */
export function readKeyPlace(text: string): Result<KeyPlace> {
  const { yaml, problems } = readYaml(text)
  const unfit = (what: string) => fail({ code: 'usage.key-place', what, hint: 'as under keys in the configuration' })
  if (yaml === undefined) return unfit(problems[0]!.what)
  const read = v.safeParse(place, yaml.value)
  return read.success ? ok(read.output) : unfit(issueText(issueOf(read.issues[0])))
}

const issueText = (issue: SchemaIssue): string =>
  `${issue.path.join('.')} ${issue.kind === 'invalid' ? issue.what : `is ${issue.kind}`}`.trim()

/** The same for the same key; a file's is its path. */
const wordOf = (place: KeyPlace): string => {
  if (place.kind === 'file') return place.file
  return place.kind === 'tpm' ? `${place.device} ${place.handle}` : `${place.module} ${place.token} ${place.key}`
}

export const keysForm = v.pipe(
  group({
    account: about('Sealed file of the key that signs payments.', v.optional(path)),
    metering: about('The key that signs readings: a sealed file, or a store.', v.optional(place)),
    sealing: about('Sealed file of the key that opens what neighbours send.', v.optional(path)),
    ocmf: about('A second key, of P-256, for OCMF records.', v.optional(place)),
    passphrase_file: about(
      'File of the passphrase of all sealed files; without it a credential of systemd’s counts, or a person is asked.',
      v.optional(path),
    ),
    seed: about(
      'Makes all keys of a bench site.',
      v.optional(scalar(literals.parseHex32, 'a seed: 64 hexadecimal digits', forms.HEX_32)),
    ),
  }),
  v.check(
    it => [it.account, it.metering, it.sealing].every(kept => (kept === undefined) === (it.seed !== undefined)),
    'must name three keys (account, metering, sealing), or on a bench a seed',
  ),
  v.check(it => {
    const named = [it.account, it.sealing, it.passphrase_file, ...[it.metering, it.ocmf].map(one => one && wordOf(one))]
    const there = named.filter(one => one !== undefined)
    return new Set(there).size === there.length
  }, 'must name another key for each use'),
  v.check(
    it => it.seed === undefined || (it.ocmf ?? it.passphrase_file) === undefined,
    'come from the seed alone: leave ocmf and passphrase_file out',
  ),
  v.transform(({ account, metering, sealing, ocmf, passphrase_file, seed }): KeySource => {
    if (seed !== undefined) return { kind: 'seed', seed }
    const more = set({ ocmf, passphraseFile: passphrase_file })
    return { kind: 'kept', account: account!, metering: metering!, sealing: sealing!, ...more }
  }),
)
