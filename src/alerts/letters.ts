/** Mails about a low balance, in both languages. */
import type { Letter } from '../mail/compose.ts';
import type { Language } from '../mail/outbox.ts';

export function lowBalance(
  language: Language,
  balance: string,
  threshold: string,
  url: string,
): Letter {
  if (language === 'bn')
    return {
      subject: `আপনার ব্যালেন্স কমে $${balance} হয়েছে`,
      paragraphs: [
        `আপনার ওয়ালেটে এখন $${balance} আছে, যা আপনার ঠিক করা সীমা $${threshold}-এর নিচে। ব্যালেন্স শেষ হলে অনুরোধগুলো ফিরিয়ে দেওয়া হবে।`,
      ],
      link: { label: 'টাকা যোগ করুন', url },
      note: 'ব্যালেন্স আবার সীমার উপরে না ওঠা পর্যন্ত এই মেইল আর আসবে না।',
    };
  return {
    subject: `Your balance is down to $${balance}`,
    paragraphs: [
      `There is $${balance} in your wallet, which is below the threshold of $${threshold} that you set. Once it is used up, requests are refused.`,
    ],
    link: { label: 'Top up', url },
    note: 'You get this mail once, until the balance has been above the threshold again.',
  };
}

export function webhookGivenUp(language: Language, error: string): Letter {
  if (language === 'bn')
    return {
      subject: 'আপনার ওয়েবহুকে বার্তা পৌঁছানো যায়নি',
      paragraphs: [
        'কম ব্যালেন্সের বার্তা আপনার ওয়েবহুকে বারবার পাঠানোর চেষ্টা করা হয়েছে, কিন্তু পৌঁছায়নি। ঠিকানাটি দেখে নিন।',
      ],
      facts: [['শেষ ত্রুটি', error]],
    };
  return {
    subject: 'Your webhook could not be reached',
    paragraphs: [
      'The message about your low balance was sent to your webhook several times, without success. Please look at its address.',
    ],
    facts: [['Last error', error]],
  };
}
