"""What access tokens look like: those kinds that a fixed beginning tells from chance.

The kinds are those of the rules of gitleaks 8 (github.com/gitleaks/gitleaks, config/gitleaks.toml) and of the plugins
of detect-secrets 1.5 that begin with letters of their own; the formats are those that the issuers document. Rules that
go by the name of a variable, or by entropy alone, are left out: texts hold many such words that are no token.
"""

from __future__ import annotations

_BEFORE = r"(?<![A-Za-z0-9_+/-])"
_AFTER = r"(?![A-Za-z0-9_+/-])"


def _after(letters: str, code: str) -> str:
    """A code that stands alone behind these letters."""
    return rf"{_BEFORE}{letters}{code}{_AFTER}"


# (what it is, letters of which each of them holds one, what it is exactly)
TOKENS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("a Hugging Face token", ("hf_", "api_org_"), r"(?<![A-Za-z0-9])(?:hf|api_org)_[A-Za-z0-9]{30,}"),
    ("an API key", ("sk-",),
     r"(?<![A-Za-z0-9_-])sk-(?:[A-Za-z0-9]+[-_]){0,3}(?:[A-Za-z0-9_-]*[A-Za-z0-9]{32}"
     r"|(?=[A-Za-z_-]*\d)(?=[\d_-]*[A-Za-z])[A-Za-z0-9]{20})"),
    ("a GitHub token", ("ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_"),
     r"(?<![A-Za-z0-9])(?:gh[opsur]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22})"),
    ("a GitLab token", ("glpat-", "glptt-", "gldt-", "glrt-", "glcbt-", "glsoat-", "GR1348941"),
     r"(?<![A-Za-z0-9])(?:gl(?:pat|ptt|dt|rt|cbt|soat)-[A-Za-z0-9_-]{20}|GR1348941[A-Za-z0-9_-]{20})"),
    ("an AWS access key", ("AKIA", "ASIA", "ABIA", "ACCA"), r"(?<![\w+/])A(?:KI|SI|BI|CC)A[0-9A-Z]{16}(?![\w+/])"),
    ("a Google API key", ("AIza",), _after("AIza", r"[0-9A-Za-z_-]{35}")),
    ("a Google OAuth secret", ("GOCSPX-", "ya29."), r"(?<![A-Za-z0-9])(?:GOCSPX-[\w-]{28}|ya29\.[\w-]{40})"),
    ("an Azure key", ("AccountKey=", "SharedAccessKey="), r"(?:Account|SharedAccess)Key=[A-Za-z0-9+/]{43,}="),
    ("a Slack token", (*(f"xox{kind}-" for kind in "abepors"), "xapp-"),
     r"(?<![A-Za-z0-9])(?:xox[abepors]|xapp)-(?=[A-Za-z-]*\d)[0-9A-Za-z-]{10,}"),
    ("the address of a webhook", ("hooks.slack.com/", "discord.com/api/webhooks/", "webhook.office.com/"),
     r"hooks\.slack\.com/(?:services|workflows)/[\w/+-]{30,}|discord(?:app)?\.com/api/webhooks/\d{17,20}/[\w-]{60,}"
     r"|webhook\.office\.com/webhookb2/[\w@-]{36,}"),
    ("a Discord token", ("MT", "MD", "Mj", "Mz", "ND", "NT", "Nj", "Nz", "OD", "OT"),
     r"(?<![\w.-])[MNO][DTjz][A-Za-z0-9_-]{22,26}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}(?![\w.-])"),
    ("a Telegram token", (":AA",), r"(?<!\d)\d{8,10}:AA[A-Za-z0-9_-]{33}(?![\w-])"),
    ("a Stripe key", ("sk_live_", "rk_live_", "sk_test_", "rk_test_", "whsec_"),
     r"(?<![A-Za-z0-9])(?:[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{32,})"),
    ("a Square token", ("sq0", "EAAA"), _after("(?:sq0[a-z]{3}-|EAAA)", r"[\w-]{22,60}")),
    ("a Shopify token", ("shpat_", "shpca_", "shppa_", "shpss_"), r"(?<!\w)shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    ("a SendGrid key", ("SG.",), r"(?<![\w.])SG\.[\w-]{22}\.[\w-]{43}"),
    ("a Mailchimp key", ("-us",), r"(?<![0-9a-z])[0-9a-f]{32}-us\d{1,2}(?!\d)"),
    ("a Brevo key", ("xkeysib-",), r"xkeysib-[0-9a-f]{64}-\w{16}"),
    ("a Twilio key", ("SK",), _after("SK", r"[0-9a-f]{32}")),
    ("an npm token", ("npm_",), _after("npm_", r"[A-Za-z0-9]{36}")),
    ("a PyPI token", ("pypi-AgE",), r"pypi-AgE[\w-]{50,}"),
    ("a RubyGems key", ("rubygems_",), _after("rubygems_", r"[0-9a-f]{48}")),
    ("a crates.io token", ("cio",), _after("cio", r"[A-Za-z0-9]{32}")),
    ("a Docker token", ("dckr_pat_", "dckr_oat_"), r"dckr_[po]at_[\w-]{27,}"),
    ("an Artifactory key", ("AKCp", "cmVmd"), _after("(?:AKCp[A-Za-z0-9]{8}|cmVmd)", r"[A-Za-z0-9]{59,61}")),
    ("an Atlassian token", ("ATATT3", "ATCTT3"), r"AT[AC]TT3[\w=-]{100,}"),
    ("a DigitalOcean token", ("dop_v1_", "doo_v1_", "dor_v1_"), _after("do[opr]_v1_", r"[0-9a-f]{64}")),
    ("a Databricks token", ("dapi",), r"(?<![A-Za-z0-9])dapi[0-9a-f]{32}(?![A-Za-z0-9])"),
    ("a Heroku key", ("HRKU-",), r"HRKU-[A-Za-z0-9_-]{36,}"),
    ("a Fly.io token", ("fo1_", "FlyV1 "), r"(?<!\w)fo1_[\w-]{43}|FlyV1 fm\d[ar]?_[A-Za-z0-9+/=,_-]{100}"),
    ("a Cloudflare key", ("v1.0-",), r"(?<!\w)v1\.0-[0-9a-f]{24}-[0-9a-f]{146}"),
    ("a HashiCorp token", ("hvs.", "hvb.", "hvr.", ".atlasv1."),
     r"(?<!\w)hv[sbr]\.[\w-]{90,}|(?<!\w)[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,}"),
    ("a Doppler token", ("dp.",), r"(?<![\w.])dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]+\.)?[A-Za-z0-9]{40}"),
    ("a Grafana token", ("glc_", "glsa_"), r"(?<!\w)(?:glc_[A-Za-z0-9+/]{32,}|glsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8})"),
    ("a New Relic key", ("NRAK-", "NRII-", "NRJS-"), _after("NR(?:AK|II|JS)-", r"[A-Za-z0-9-]{19,32}")),
    ("a Sentry token", ("sntrys_", "sntryu_"), r"sntrys_eyJ[\w+/=]{80,}|sntryu_[0-9a-f]{64}"),
    ("a Dynatrace token", ("dt0c01.",), r"dt0c01\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{64}"),
    ("a Notion token", ("ntn_", "secret_"), _after("(?:ntn_|secret_)", r"[A-Za-z0-9]{43,46}")),
    ("a Linear key", ("lin_api_",), _after("lin_api_", r"[A-Za-z0-9]{40}")),
    ("a Postman key", ("PMAK-",), r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    ("an Airtable token", ("pat",), r"(?<!\w)pat[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    ("a 1Password key", ("ops_eyJ", "A3-"),
     r"ops_eyJ[A-Za-z0-9+/]{250,}|(?<![\w-])A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}"),
    ("a key of a cloud for models", ("gsk_", "r8_", "pplx-", "xai-", "nvapi-", "fw_", "tgp_v1_", "sk_car_"),
     r"(?<![\w-])(?:gsk_[A-Za-z0-9]{52}|r8_[A-Za-z0-9]{37}|pplx-[A-Za-z0-9]{48}|xai-[A-Za-z0-9]{80}|"
     r"nvapi-[\w-]{64}|fw_[A-Za-z0-9]{24}|tgp_v1_[\w-]{43}|sk_car_[A-Za-z0-9]{22,})(?![\w-])"),
    ("a PlanetScale token", ("pscale_",), r"pscale_(?:tkn|oauth|pw)_[\w.=-]{32,}"),
    ("a Supabase token", ("sbp_", "sb_secret_"), r"(?<!\w)(?:sbp_[0-9a-f]{40}|sb_secret_[\w-]{20,})"),
    ("a Pulumi token", ("pul-",), _after("pul-", r"[0-9a-f]{40}")),
    ("a Prefect key", ("pnu_", "pnb_"), _after("pn[ub]_", r"[A-Za-z0-9]{36}")),
    ("an Alibaba key", ("LTAI",), _after("LTAI", r"[A-Za-z0-9]{17,21}")),
    ("an EasyPost key", ("EZAK", "EZTK"), _after("EZ[AT]K", r"[A-Za-z0-9]{54}")),
    ("a Tailscale key", ("tskey-",), r"tskey-[a-z]+-[A-Za-z0-9]{8,}-[A-Za-z0-9]{20,}"),
    ("a JSON web token", ("eyJ",), r"(?<![\w.-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}"),
    ("a password in an address", ("://",),
     r"(?<!\w)(?:https?|ftps?|ssh|git|postgres(?:ql)?|mysql|mongodb(?:\+srv)?|rediss?|amqps?|smtps?)://"
     r"[^\s/:@\"'<>]{1,64}:(?!password|pass|\$|\{|\*|x{3})[^\s/:@\"'<>]{6,128}@[\w.-]+\.[a-z]{2,}"),
    ("an age key", ("AGE-SECRET-KEY-1",), r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    ("a private key", ("-----BEGIN ", "PuTTY-User-Key-File-"),
     r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-[23]: "),
)  # fmt: skip
