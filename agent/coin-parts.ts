/** Blind coins: a mint, or a purse, by what the configuration names. What they keep is sealed. */
import type { SiteConfig } from './config/site-config.ts'
import { type CoinPurse, type CoinPurseOptions, createCoinPurse } from './roles/coin-purse.ts'
import { createMint, type Mint, type MintOptions } from './roles/mint.ts'
import type { Part, PartOptions } from './roles/part.ts'
import { sealPart } from './sealed-part.ts'

/** What coins are made with: drivers/crypto. */
export type Coining = Pick<MintOptions, 'createIssuer' | 'openIssuer'> &
  Pick<CoinPurseOptions, 'createSigner' | 'blindMessage' | 'unblindMessage'> & {
    /** Of 32 bytes, the site's own: what is kept is sealed under keys that come of it. */
    readonly sealing: Uint8Array
  }

export interface CoinParts {
  readonly mint: Mint | undefined
  readonly purse: CoinPurse | undefined
}

export interface CoinPartsOptions {
  readonly config: Pick<SiteConfig, 'mint' | 'purse'>
  readonly coining: Coining
  optionsOf(name: string): PartOptions
  /** Starts a part with the others. */
  add(name: string, part: Part): void
}

export function createCoinParts({ config, coining, optionsOf, add }: CoinPartsOptions): CoinParts {
  const sealed = <T extends Part>(name: string, create: (options: PartOptions) => T): T => {
    const part = sealPart(name, optionsOf(name), coining.sealing, create)
    add(name, part)
    return part
  }
  const { mint, purse } = config
  return {
    mint: mint && sealed('mint', options => createMint({ ...options, ...coining })),
    purse: purse && sealed('purse', options => createCoinPurse({ ...options, ...coining, ...purse })),
  }
}
