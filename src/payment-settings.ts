/** Settings of the payment methods: a part of the table in config.ts. */

import { choice, form, type Setting, text, url } from './setting.ts';

export const paymentSettings = {
  nagadBaseUrl: url(
    'NAGAD_BASE_URL',
    '',
    "Address of Nagad's API; empty means https://api.mynagad.com/api/dfs in live mode and the stand-in in a sandbox.",
  ),
  nagadMerchantId: form(
    'NAGAD_MERCHANT_ID',
    '',
    /^\d{5,20}$/,
    'the digits of a merchant id',
    "The merchant's id at Nagad.",
  ),
  nagadMerchantNumber: form(
    'NAGAD_MERCHANT_NUMBER',
    '',
    /^01\d{9}$/,
    'a mobile number such as 01700000000',
    "The merchant's mobile number at Nagad; empty sends none.",
  ),
  nagadPublicKey: text(
    'NAGAD_PUBLIC_KEY',
    '',
    "Nagad's public key for payments, as Nagad mails it: base64, with or without PEM lines.",
  ),
  nagadPrivateKey: text(
    'NAGAD_PRIVATE_KEY',
    '',
    "The merchant's private key from Nagad's merchant portal: base64, with or without PEM lines.",
  ),
  nagadSignature: choice(
    'NAGAD_SIGNATURE',
    ['sha256', 'sha1'],
    'sha256',
    'Hash under the signatures to and from Nagad; sha1 only for merchants whom Nagad tells so.',
  ),
  nagadFallbackIp: form(
    'NAGAD_FALLBACK_IP',
    '',
    /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/,
    'an IPv4 address',
    "IPv4 address that Nagad is told where the payer's own is IPv6 or unknown: the public one of this server. Live payments by Nagad need it.",
  ),
  nagadRefundApi: choice(
    'NAGAD_REFUND_API',
    ['off', 'on'],
    'off',
    "Whether refunds go through Nagad's API, which is thinly documented: try it with a small payment first. off: in the merchant portal by hand.",
  ),
} as const satisfies Record<string, Setting<string | number>>;
