/** Settings of the payment methods: a part of the table in config.ts. */

import { choice, form, integer, type Setting, text, url } from './setting.ts';

export const paymentSettings = {
  paymentsEveryMs: integer(
    'PAYMENTS_EVERY_MS',
    5000,
    100,
    3_600_000,
    'How often, in ms, the server looks for payments whose provider is to be asked.',
  ),
  sellerName: text('SELLER_NAME', 'AK AI CORE', 'Who sells, as receipts of payments name it.'),
  sellerAddress: text('SELLER_ADDRESS', '', 'Address of the seller on receipts of payments.'),
  sellerBin: text(
    'SELLER_BIN',
    '',
    'Business identification number (BIN) of the seller on receipts of payments.',
  ),
  bkashBaseUrl: url(
    'BKASH_BASE_URL',
    '',
    "Address of bKash's API with its version, such as https://tokenized.pay.bka.sh/v1.2.0-beta, as it comes with the credentials. Empty: no bKash in live mode, a stand-in in a sandbox.",
  ),
  bkashGeneration: choice(
    'BKASH_GENERATION',
    ['v1', 'v2'],
    'v1',
    "Generation of bKash's API that the merchant account is of: v1 for v1.2.0-beta, or v2.",
  ),
  bkashUsername: text('BKASH_USERNAME', '', "Merchant's user name at bKash."),
  bkashPassword: text('BKASH_PASSWORD', '', "Merchant's password at bKash."),
  bkashAppKey: text('BKASH_APP_KEY', '', "App key of the merchant's application at bKash."),
  bkashAppSecret: text(
    'BKASH_APP_SECRET',
    '',
    "App secret of the merchant's application at bKash.",
  ),
  bkashTopicArn: text(
    'BKASH_TOPIC_ARN',
    '',
    'Topic of Amazon SNS by which bKash notifies of payments; messages of any other are refused. Empty refuses all: payments are then found by asking.',
  ),
  bkashConfirmSubscription: choice(
    'BKASH_CONFIRM_SUBSCRIPTION',
    ['no', 'yes'],
    'no',
    'Whether a subscription to BKASH_TOPIC_ARN is confirmed when Amazon SNS asks; yes while bKash sets it up.',
  ),
  bkashRefundDays: integer(
    'BKASH_REFUND_DAYS',
    60,
    1,
    3650,
    'Days after a payment in which bKash gives refunds.',
  ),
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
  uddoktapayUrl: url(
    'UDDOKTAPAY_BASE_URL',
    '',
    'Address of your UddoktaPay panel, with or without /api; its brand must be set to BDT. A sandbox takes https://sandbox.uddoktapay.com or none: it has a stand-in of its own.',
  ),
  uddoktapayKey: text(
    'UDDOKTAPAY_API_KEY',
    '',
    'Key of that panel, able to check out and to verify, and to refund only where UDDOKTAPAY_REFUND_API is on.',
  ),
  uddoktapayRefunds: choice(
    'UDDOKTAPAY_REFUND_API',
    ['off', 'on'],
    'off',
    'Whether refunds are asked of the panel; you confirm each, because its answer is no proof that money moved. off: you send the money back yourself.',
  ),
  manualPayments: form(
    'MANUAL_PAYMENTS',
    '',
    /^(?:(?:bkash|nagad|rocket):(?:send_money|cash_out|payment):01[3-9]\d{8}(?::[^;]{0,200})?(?:\s*;\s*|$))+$/,
    'a list such as bkash:send_money:01712345678:Send Money only;nagad:payment:01812345678',
    'Numbers that users send money to by hand, as wallet:kind:number:note, parted by semicolons; an admin reviews each TrxID. Wallets: bkash, nagad, rocket; kinds: send_money, cash_out, payment. Empty: off. Business with a personal wallet breaks the terms of these wallets and can get the number frozen.',
  ),
} as const satisfies Record<string, Setting<string | number>>;
